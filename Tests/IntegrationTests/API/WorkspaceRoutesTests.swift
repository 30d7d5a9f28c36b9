import Development
import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// The Apollo key of a workspace: it goes in and never comes out.
@Suite(.database(), .timeLimit(.minutes(5))) struct WorkspaceRoutesTests {
    let database = TestDatabase.current
    private static let key = "good-sample-key-of-the-stand-in"

    private func stored() async throws -> String? {
        try await database.value("SELECT apollo_api_key_encrypted FROM public.workspace_settings")
    }

    @Test func `an admin stores a key, a member only sees that there is one`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let path = "/api/workspaces/\(tenants.mine.text)/settings/apollo-key"
            let body = #"{"api_key":"\#(Self.key)"}"#
            #expect(try await api.send("PUT", path, as: .user(tenants.member), body: body).status == 403)
            #expect(try await api.send("PUT", path, as: .user(tenants.stranger), body: body).status == 404)
            let set = try await api.send("PUT", path, as: .user(tenants.admin), body: body)
            #expect(set.status == 200 && set.json["last_four"] == "d-in")
            #expect(try await stored()?.hasPrefix("v1:k1:") == true)
            let seen = try await api.send("GET", path, as: .user(tenants.member))
            #expect(seen.json == ["apollo_api_key_configured": true, "last_four": "d-in"])
            let settings = try await api.send(
                "GET", "/api/workspace/settings?workspace_id=\(tenants.mine.text)", as: .user(tenants.member))
            #expect(settings.json["apollo_api_key_configured"] == true)
            for answer in [set, seen, settings] { #expect(!answer.text.contains(Self.key)) }
            #expect(
                try await database.count(
                    "action LIKE 'settings.%' AND via = 'api' AND actor = 'user:\(tenants.admin.text)'",
                    of: "public.job_audit") == 1)
        }
    }

    @Test func `a removed key is gone, and with it the enrichment of new rows`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let base = "/api/workspaces/\(tenants.mine.text)/settings"
            _ = try await api.send(
                "PUT", base + "/apollo-key", as: .operator, body: #"{"api_key":"\#(Self.key)"}"#)
            let on = try await api.send(
                "PATCH", base, as: .user(tenants.admin), body: #"{"apollo_auto_enrich":true}"#)
            #expect(on.json["apollo_auto_enrich"] == true)
            let removed = try await api.send("DELETE", base + "/apollo-key", as: .user(tenants.admin))
            #expect(removed.json["apollo_api_key_configured"] == false)
            #expect(try await stored() == nil)
            #expect(try await api.send("GET", base, as: .user(tenants.member)).json["apollo_auto_enrich"] == false)
        }
    }

    @Test func `a test asks Apollo with the stored key`() async throws {
        let tenants = try await Tenants(in: database)
        let standin = try await Standin.start()
        let database = database
        try await withAPI(on: database, apolloBaseURL: standin.url) { api in
            let base = "/api/workspaces/\(tenants.mine.text)/settings"
            @Sendable func test(_ person: Person) async throws -> APIResponse {
                try await api.send("POST", base + "/test-apollo-connection", as: person)
            }
            #expect(try await test(.user(tenants.member)).status == 403)
            #expect(try await test(.user(tenants.admin)).json["error_message"] == "Apollo API key not configured")
            for (key, isGood) in [(Self.key, true), ("another-key-nobody-knows", false)] {
                _ = try await api.send("PUT", base + "/apollo-key", as: .operator, body: #"{"api_key":"\#(key)"}"#)
                let answer = try await test(.user(tenants.admin))
                #expect(answer.status == 200 && answer.json["success"] == .bool(isGood), "\(answer.text)")
                #expect(!answer.text.contains(key))
            }
        }
        await standin.stop()
    }

    @Test func `a key under an older encryption key is encrypted anew, a readable one too`() async throws {
        let tenants = try await Tenants(in: database)
        // The application's own form.
        let old = Data(Self.key.utf8).base64EncodedString()
        try await database.query(
            "INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted) VALUES (\(tenants.mine), \(old))"
        )
        try await withAPI(on: database) { api in
            let path = "/api/workspaces/\(tenants.mine.text)/settings/apollo-key/rotate"
            #expect(try await api.send("POST", path, as: .user(tenants.member)).status == 403)
            #expect(try await api.send("POST", path, as: .user(tenants.admin)).json == ["rotated": true])
            #expect(try await stored()?.hasPrefix("v1:k1:") == true)
            #expect(try await api.send("POST", path, as: .user(tenants.admin)).json == ["rotated": false])
            try await database.query("UPDATE public.workspace_settings SET apollo_api_key_encrypted = 'v1:gone:AAAA'")
            #expect(try await api.send("POST", path, as: .user(tenants.admin)).status == 409)
        }
    }

    @Test func `use is summed by day from what was paid`() async throws {
        let tenants = try await Tenants(in: database)
        for (type, credits) in [("enrich_account", 1), ("enrich_contact", 2)] {
            let id = try await database.insertJob(type, status: .completed)
            try await database.query(
                """
                INSERT INTO public.job_logs (job_id, log_level, message, metadata)
                VALUES (\(id), 'info', 'x', jsonb_build_object('apollo_call', 'c', 'credits_used', \(credits)))
                """)
        }
        try await withAPI(on: database) { api in
            let path = "/api/workspaces/\(tenants.mine.text)/enrichment-usage?days=10"
            let usage = try await api.send("GET", path, as: .user(tenants.member))
            #expect(usage.json["credits_used"] == 3 && usage.json["daily_average"]?.double == 0.3)
            #expect(usage.json["accounts_enriched"] == 1 && usage.json["contacts_enriched"] == 1)
            #expect(usage.json["last_30_days"]?.array?.count == 1)
            #expect(try await api.send("GET", path, as: .user(tenants.stranger)).status == 404)
        }
    }
}
