import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Limits and rules of queues over HTTP.
@Suite(.database(), .timeLimit(.minutes(5))) struct LimitRoutesTests {
    let database = TestDatabase.current

    @Test func `a limit is set, replaced, listed and removed, and stands in the audit`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let path = "/api/limits/mails"
            let set = try await api.send(
                "PUT", path, as: .operator, body: #"{"job_type":"mail","rate":100,"burst":5,"reason":"slow"}"#)
            #expect(set.status == 200 && set.json["rate"] == 100 && set.json["period_seconds"] == 60)
            let again = try await api.send(
                "PUT", path, as: .operator, body: #"{"each_workspace":true,"max_running":3}"#)
            #expect(again.json["job_type"] == .null && again.json["rate"] == .null && again.json["max_running"] == 3)
            let list = try await api.send("GET", "/api/limits", as: .operator)
            #expect(list.json["limits"]?.array?.map { $0["name"] } == ["mails"])
            #expect(try await api.send("GET", "/api/limits", as: .user(tenants.admin)).status == 403)
            for body in [
                "{}", #"{"max_running":3}"#, #"{"job_type":"a"}"#, #"{"job_type":"a","max_running":1,"burst":3}"#,
                #"{"workspace_id":"\#(UUID().text)","max_running":1}"#, #"{"job_type":"a","max_running":-1}"#,
            ] {
                #expect(try await api.send("PUT", "/api/limits/x", as: .operator, body: body).status == 422, "\(body)")
            }
            #expect(try await api.send("DELETE", path, as: .operator).status == 200)
            #expect(try await api.send("DELETE", path, as: .operator).status == 404)
            let actions = try await database.query(
                "SELECT action || ' ' || subject AS a FROM public.job_audit ORDER BY id")
            #expect(
                try actions.map { try $0.decode("a", as: String.self) }
                    == ["limit.add mails", "limit.change mails", "limit.delete mails"])
        }
    }

    @Test func `figures tell how many due jobs each limit keeps from starting`() async throws {
        let store = database.store()
        #expect(try await store.heldByLimits().isEmpty)
        try await database.run(
            """
            INSERT INTO public.job_limits (name, job_type, each_workspace, max_running, rate)
            VALUES ('each', 'mail', true, 1, NULL), ('none', 'other', false, 1, NULL), ('rate', 'mail', false, NULL, 1)
            """)
        let other = try await database.insertWorkspace()
        try await database.insertJob("mail", status: .processing)
        for _ in 0..<3 { try await database.insertJob("mail") }
        try await database.insertJob("mail", scheduledIn: .seconds(600))
        // That workspace has room left.
        for _ in 0..<2 { try await database.insertJob("mail", workspace: other) }
        #expect(try await store.heldByLimits().map { "\($0.name) \($0.jobs)" } == ["each 3", "none 0", "rate 0"])
        try await database.run(
            """
            INSERT INTO jobworker.limit_tokens VALUES
                ('rate', '00000000-0000-0000-0000-000000000000', 0.1, clock_timestamp())
            """)
        #expect(try await store.heldByLimits().map { "\($0.name) \($0.jobs)" } == ["each 3", "none 0", "rate 5"])
    }

    @Test func `rules of a queue stay where they aren't named`() async throws {
        try await withAPI(on: database) { api in
            let set = try await api.send(
                "PUT", "/api/queues/mail", as: .operator, body: #"{"weight":3,"ageing_seconds":600,"fair":true}"#)
            #expect(set.json["weight"] == 3 && set.json["ageing_seconds"] == 600 && set.json["fair"] == true)
            let more = try await api.send("PUT", "/api/queues/mail", as: .operator, body: #"{"max_running":2}"#)
            #expect(more.json["weight"] == 3 && more.json["max_running"] == 2 && more.json["fair"] == true)
            let less = try await api.send(
                "PUT", "/api/queues/mail", as: .operator, body: #"{"ageing_seconds":null,"fair":false}"#)
            #expect(less.json["ageing_seconds"] == .null && less.json["fair"] == false && less.json["weight"] == 3)
        }
    }

    @Test func `why names the limit that holds a job, and when the rate goes on`() async throws {
        let tenants = try await Tenants(in: database)
        try await database.query(
            """
            INSERT INTO public.job_workers (id, instance, host, queues, job_types, max_concurrent)
            VALUES ('w', 'x', 'h', '{default}', '{noop}', 5)
            """)
        try await database.run(
            "INSERT INTO public.job_limits (name, job_type, rate, period) VALUES ('slow', 'noop', 1, '1 minute')")
        try await database.insertJob(createdAgo: .seconds(60))
        let id = try await database.insertJob()
        #expect(try await database.store().claimCarefully(.test()).claimed.count == 1)
        try await withAPI(on: database) { api in
            let path = "/api/jobs/\(id.text)/why"
            let all = try await api.send("GET", path, as: .operator)
            #expect(all.json["reasons"]?.array?.first?["code"] == "rate_limit")
            #expect(all.json["reasons"]?.array?.first?["limit"] == "slow")
            #expect(all.json["next"]?["at"]?.string != nil)
            #expect(try await !api.send("GET", path, as: .user(tenants.member)).text.contains("slow"))
            try await database.run("UPDATE public.job_limits SET rate = NULL, max_running = 1")
            let held = try await api.send("GET", path, as: .operator)
            #expect(held.json["reasons"]?.array?.first?["code"] == "job_limit")
        }
    }
}
