import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing
import Webhooks

@Suite(.database(), .timeLimit(.minutes(5))) struct WebhookRoutesTests {
    let database = TestDatabase.current

    private func draft(_ workspace: UUID, _ rest: String = "") -> String {
        #"{"workspace_id":"\#(workspace.text)","url":"https://example.com/hook"\#(rest)}"#
    }

    @Test func `an admin adds, sees, changes, tests and removes an endpoint`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let admin = Person.user(tenants.admin)
            let added = try await api.send(
                "POST", "/api/webhooks", as: admin,
                body: draft(tenants.mine, #","events":["job.failed"],"job_types":["mail"]"#))
            #expect(added.status == 201, "\(added.text)")
            let secret = try #require(added.json["secret"]?.string)
            #expect(WebhookSecret(secret) != nil)
            #expect(added.json["events"] == ["job.failed"] && added.json["enabled"] == true)
            let path = "/api/webhooks/\(try #require(added.id).text)"
            let shown = try await api.send("GET", path, as: admin)
            #expect(shown.json["url"] == "https://example.com/hook" && !shown.text.contains("whsec_"))
            #expect(!shown.text.contains("secret"))
            let listed = try await api.send("GET", "/api/webhooks?workspace_id=\(tenants.mine.text)", as: admin)
            #expect(listed.json["webhooks"]?.array?.count == 1 && listed.json["next_cursor"] == .null)

            let changed = try await api.send("PATCH", path, as: admin, body: #"{"events":null,"enabled":false}"#)
            #expect(changed.json["events"] == .null && changed.json["enabled"] == false)
            #expect(changed.json["job_types"] == ["mail"])
            #expect(try await api.send("POST", "\(path)/test", as: admin).status == 409)
            _ = try await api.send("PATCH", path, as: admin, body: #"{"enabled":true}"#)
            let test = try await api.send("POST", "\(path)/test", as: admin)
            #expect(test.status == 201 && test.json["event"] == "test" && test.json["status"] == "pending")
            let delivery = try #require(test.id).text
            #expect(
                try await api.send("GET", "\(path)/deliveries", as: admin).json["deliveries"]?.array?.count == 1)
            #expect(
                try await api.send("GET", "\(path)/deliveries?status=failed", as: admin).json["deliveries"] == [])
            #expect(try await api.send("GET", "\(path)/deliveries/\(delivery)", as: admin).json["attempts"] == 0)
            #expect(
                try await api.send("POST", "\(path)/deliveries/\(delivery)/redeliver", as: admin).status == 409)
            try await database.query(
                "UPDATE public.webhook_deliveries SET status = 'failed', next_attempt_at = NULL, attempts = 7")
            let again = try await api.send("POST", "\(path)/deliveries/\(delivery)/redeliver", as: admin)
            #expect(again.status == 200 && again.json["status"] == "pending" && again.json["attempts"] == 0)

            #expect(try await api.send("DELETE", path, as: admin).json == ["success": true])
            #expect(try await api.send("GET", path, as: admin).status == 404)
            let actions = try await database.query(
                "SELECT action, actor, before, after FROM public.job_audit ORDER BY id")
            #expect(
                try actions.map { try $0.decode("action", as: String.self) } == [
                    "webhook.add", "webhook.change", "webhook.change", "webhook.test", "webhook.redeliver",
                    "webhook.delete",
                ])
            #expect(
                try await database.count(
                    "before::text LIKE '%v1:k1%' OR after::text LIKE '%v1:k1%'", of: "public.job_audit") == 0)
        }
    }

    @Test func `only admins and operators see and change endpoints`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let added = try await api.send("POST", "/api/webhooks", as: .operator, body: draft(tenants.mine))
            let path = "/api/webhooks/\(try #require(added.id).text)"
            for person in [Person.user(tenants.member), .user(tenants.stranger)] {
                #expect(try await api.send("GET", "/api/webhooks", as: person).json["webhooks"] == [])
                for (method, target) in [
                    ("GET", path), ("PATCH", path), ("DELETE", path), ("POST", "\(path)/test"),
                    ("GET", "\(path)/deliveries"),
                ] {
                    let answer = try await api.send(
                        method, target, as: person, body: method == "PATCH" ? #"{"enabled":false}"# : nil)
                    #expect(answer.status == 404, "\(method) \(target)")
                }
            }
            #expect(
                try await api.send("POST", "/api/webhooks", as: .user(tenants.member), body: draft(tenants.mine)).status
                    == 403)
            #expect(
                try await api.send("POST", "/api/webhooks", as: .user(tenants.stranger), body: draft(tenants.mine))
                    .status == 404)
            #expect(try await database.count("enabled", of: "public.webhook_endpoints") == 1)
        }
    }

    @Test func `a URL with a password is refused with a sentence`() async throws {
        try await withAPI(on: database) { api in
            let answer = try await api.send(
                "POST", "/api/webhooks", as: .operator,
                body: #"{"workspace_id":"\#(TestDatabase.workspace.text)","url":"https://a:b@example.com"}"#)
            #expect(answer.status == 422 && answer.json["code"] == "invalid_webhook")
        }
    }

    @Test func `a request that is sent again gets the same secret, which is not kept with its answer`() async throws {
        try await withAPI(on: database) { api in
            var answers: [String] = []
            for _ in 0..<2 {
                let answer = try await api.send(
                    "POST", "/api/webhooks", as: .operator, body: draft(TestDatabase.workspace),
                    headers: [("Idempotency-Key", "one")])
                #expect(answer.status == 201)
                answers.append(try #require(answer.json["secret"]?.string))
            }
            #expect(answers[0] == answers[1])
            #expect(try await database.count("true", of: "public.webhook_endpoints") == 1)
            #expect(
                try await database.count("api_requests::text LIKE '%whsec_%'", of: "jobworker.api_requests") == 0)
        }
    }
}
