import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Alerts over HTTP and by command, and webhooks that belong to operators.
@Suite(.database(), .timeLimit(.minutes(5))) struct AlertRoutesTests {
    let database = TestDatabase.current

    private func insertAlerts() async throws {
        try await database.run(
            """
            INSERT INTO public.job_alerts (rule, subject, message, value, threshold, since, ended_at, raised_by, resolved_by)
            VALUES ('queue_depth', 'mail', '9 jobs or more of the queue mail are due', 9, 9, now() - interval '2 hours',
                    now() - interval '1 hour', 'w1', 'w2'),
                   ('worker_lost', 'a@h', 'the worker w fell silent while it ran 0 jobs', 130, 120,
                    now() - interval '5 minutes', NULL, 'w1', NULL)
            """)
    }

    @Test func `operators list what is open and what is over, page by page; members nothing`() async throws {
        let tenants = try await Tenants(in: database)
        try await insertAlerts()
        try await withAPI(on: database) { api in
            let first = try await api.send("GET", "/api/alerts?limit=1", as: .operator)
            #expect(first.json["alerts"]?.array?.map { $0["rule"] } == ["worker_lost"])
            let cursor = try #require(first.json["next_cursor"]?.string)
            let second = try await api.send("GET", "/api/alerts?limit=1&cursor=\(cursor)", as: .operator)
            #expect(second.json["alerts"]?.array?.map { $0["subject"] } == ["mail"])
            #expect(second.json["next_cursor"] == .null)
            #expect(try await api.send("GET", "/api/alerts?open=AAA", as: .operator).status == 400)
            #expect(try await api.send("GET", "/api/alerts?opened=true", as: .operator).status == 400)
            let open = try await api.send("GET", "/api/alerts?open=true", as: .operator)
            #expect(open.json["alerts"]?.array?.map { $0["ended_at"] } == [.null])
            #expect(try await api.send("GET", "/api/alerts", as: .user(tenants.admin)).status == 403)
        }
    }

    @Test func `the command lists the same`() async throws {
        try await insertAlerts()
        let open = try await CommandRun.of("alerts", database: database)
        #expect(open.status == 0 && open.output.contains("worker_lost") && !open.output.contains("queue_depth"))
        let all = try await CommandRun.of("alerts", "list", "--all", "--json", database: database)
        #expect(try all.json()["alerts"]?.array?.map { $0["raised_by"] } == ["w1", "w1"])
        #expect(try await CommandRun.of("alerts", "--limit", "0", database: database).status == 64)
    }

    @Test func `an endpoint without a workspace is the operators' alone, and told of alerts alone`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let draft = #"{"url":"https://example.com/alerts"}"#
            #expect(try await api.send("POST", "/api/webhooks", as: .user(tenants.admin), body: draft).status == 403)
            let added = try await api.send("POST", "/api/webhooks", as: .operator, body: draft)
            #expect(added.status == 201 && added.json["workspace_id"] == .null)
            #expect(added.json["secret"]?.string?.hasPrefix("whsec_") == true)
            let id = try #require(added.json["id"]?.string)
            for body in [
                #"{"url":"https://example.com/","events":["job.failed"]}"#,
                #"{"url":"https://example.com/","job_types":["mail"]}"#,
                #"{"workspace_id":"\#(tenants.mine.text)","url":"https://example.com/","events":["alert.raised"]}"#,
            ] {
                #expect(try await api.send("POST", "/api/webhooks", as: .operator, body: body).status == 422, "\(body)")
            }
            for (method, path) in [
                ("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries"),
            ] {
                #expect(
                    try await api.send(method, "/api/webhooks/\(id)\(path)", as: .user(tenants.admin)).status == 404,
                    "\(method) \(path)")
            }
            #expect(try await api.send("POST", "/api/webhooks/\(id)/test", as: .operator).status == 201)
            let test = try await api.send("GET", "/api/webhooks/\(id)/deliveries", as: .operator)
            #expect(test.json["deliveries"]?.array?.map { $0["workspace_id"] } == [.null])
            // Its deliveries go with it.
            #expect(try await api.send("DELETE", "/api/webhooks/\(id)", as: .operator).status == 200)
            #expect(try await database.count("true", of: "public.webhook_deliveries") == 0)
        }
    }

    @Test func `an operators' endpoint lets the ends of jobs cost nothing, and stays where it is`() async throws {
        let scene = try WebhookScene(database)
        let id = try await scene.endpoint("https://example.com/", workspace: nil)
        #expect(
            try await database.value("SELECT pg_sequence_last_value('jobworker.webhooks_in_use') IS NULL") == true)
        await #expect(throws: PostgresError.self) {
            try await database.query(
                "UPDATE public.webhook_endpoints SET workspace_id = \(TestDatabase.workspace) WHERE id = \(id)")
        }
        // Nor does it keep them from resting once the last of the others is gone.
        let other = try await scene.endpoint("https://example.com/")
        try await database.query("DELETE FROM public.webhook_endpoints WHERE id = \(other)")
        #expect(try await database.value("SELECT jobworker.rest_webhooks()") == true)
    }
}
