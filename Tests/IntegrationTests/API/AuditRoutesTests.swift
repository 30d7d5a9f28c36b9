import FoundationEssentials
import HTTPTypes
import JobWorker
import Postgres
import Support
import Testing

@testable import ControlPlane

/// Who did what, by HTTP: of every route that changes something. The requests come from the table of routes, so a new
/// one that leaves no trace fails here.
@Suite(.database(), .timeLimit(.minutes(5))) struct AuditRoutesTests {
    let database = TestDatabase.current

    /// What is asked by other verbs than GET and changes nothing.
    private static let harmless = [
        "POST /api/workspaces/{id}/settings/test-apollo-connection", "POST /api/workspace/settings/test-apollo",
        // What an attempt itself tells is no change by a person.
        "POST /api/jobs/{id}/progress", "POST /api/jobs/{id}/log",
    ]

    /// What a route's own rules want, beyond its declaration.
    private static let bodies: [String: @Sendable (UUID) -> String] = [
        "POST /api/schedules": { #"{"workspace_id":"\#($0.text)","name":"x","job_type":"noop","every_seconds":60}"# },
        "POST /api/workflows/split": {
            #"{"workspace_id":"\#($0.text)","job_type":"noop","finally":"noop","items":[1]}"#
        },
        "POST /api/workflows": { #"{"workspace_id":"\#($0.text)","jobs":[{"name":"a","job_type":"noop"}]}"# },
        "POST /api/jobs/bulk": { #"{"action":"cancel","filter":{"workspace_id":"\#($0.text)"}}"# },
        "PATCH /api/schedules/{id}": { _ in #"{"every_seconds":120}"# },
    ]

    private struct Entry: Sendable {
        let action: String, actor: String, via: String
        let before: JSONValue?, after: JSONValue?
    }

    private func lastID() async throws -> Int {
        try await database.value("SELECT coalesce(max(id), 0) FROM public.job_audit") ?? 0
    }

    private func entries(after id: Int) async throws -> [Entry] {
        try await database.query(
            "SELECT action, actor, via, before, after FROM public.job_audit WHERE id > \(id) ORDER BY id"
        ).map { row in
            Entry(
                action: try row.decode("action"), actor: try row.decode("actor"), via: try row.decode("via"),
                before: try row.decodeIfPresent("before", as: JSONText.self)?.decode(),
                after: try row.decodeIfPresent("after", as: JSONText.self)?.decode())
        }
    }

    /// All that a workspace has besides the audit.
    private func state(_ canary: Canary) async throws -> String {
        try await canary.fingerprint().split(separator: "\n").filter { !$0.contains("job_audit") }
            .joined(separator: "\n")
    }

    @Test func `every route that changes something leaves who, how, what, before and after`() async throws {
        let owner = try await database.insertUser()
        try await withAPI(on: database) { api in
            // Those of webhooks need endpoints whose secrets can be read: `WebhookRoutesTests` looks at what they leave.
            for route in api.routes
            where route.method != .get && !route.path.description.hasPrefix("/api/webhooks") {
                let name = "\(route.method) \(route.path)"
                guard !route.audit.isEmpty else {
                    #expect(Self.harmless.contains(name), "\(name) declares no action for the audit")
                    continue
                }
                for person in route.access == .members ? [Person.operator, .user(owner)] : [.operator] {
                    let actions = try await actions(of: route, as: person, owner: owner, api)
                    #expect(!actions.isEmpty, "\(name) as \(person) did nothing, or left no trace")
                    #expect(actions.isSubset(of: route.audit), "\(name) as \(person)")
                }
            }
        }
    }

    /// Of a job that can be cancelled and one that can be retried.
    private func insertWorkflow(in workspace: UUID) async throws -> UUID {
        let jobs = JSONText(#"[{"name":"a","job_type":"noop"},{"name":"b","job_type":"noop"}]"#)
        let id: UUID? = try await database.value("SELECT jobworker.add_workflow(\(workspace), \(jobs)) AS id")
        try await database.query("UPDATE public.jobs SET status = 'cancelled' WHERE workflow_step = 'b'")
        return try #require(id)
    }

    /// Sends the route's requests about a workspace with a job in each state.
    private func actions(
        of route: Route, as person: Person, owner: UUID, _ api: APIUnderTest
    ) async throws -> Set<String> {
        let workspace = try await database.insertWorkspace(owner: owner)
        let canary = try await Canary(in: workspace, of: database)
        // A key that can be read, and is to be encrypted.
        try await database.query(
            """
            UPDATE public.workspace_settings SET apollo_api_key_encrypted = encode('legacy-key', 'base64')
            WHERE workspace_id = \(workspace)
            """)
        let workflow = try await insertWorkflow(in: workspace)
        var requests: [SampleRequest] = []
        for request in SampleRequest.all(
            for: route, ids: canary.jobs + [workspace, canary.schedule, workflow, canary.operation],
            workspace: workspace)
        where !requests.contains(where: { $0.path == request.path && $0.body == request.body }) {
            requests.append(request)
        }
        if let body = Self.bodies["\(route.method) \(route.path)"] {
            requests += SampleRequest.all(for: route, ids: [canary.schedule], workspace: workspace).prefix(1).map {
                SampleRequest(method: $0.method, path: $0.path, body: body(workspace))
            }
        }
        if route.path.description == "/api/schedules/{id}/resume" {
            try await database.query("UPDATE public.job_schedules SET enabled = false WHERE id = \(canary.schedule)")
        }
        if route.path.description == "/api/operations/{id}/pause" {
            try await database.query(
                "UPDATE public.job_operations SET state = 'running' WHERE id = \(canary.operation)")
        }
        // The other way round, other ones find a job in a state that allows it.
        if case .user = person { requests.reverse() }
        var actions: Set<String> = []
        for request in requests {
            let last = try await lastID()
            let before = try await state(canary)
            let answer = try await api.send(request.method, request.path, as: person, body: request.body)
            let entries = try await entries(after: last)
            let place = "\(request.method) \(request.path) \(request.body ?? ""): \(answer.text)"
            if try await state(canary) != before { #expect(!entries.isEmpty, "\(place)") }
            for entry in entries {
                #expect(entry.via == "api" && entry.before != entry.after, "\(place)")
                switch person {
                case .user(let user): #expect(entry.actor == "user:\(user.text)", "\(place)")
                default: #expect(entry.actor == "operator:test", "\(place)")
                }
                let isAddition = [".add", ".replay", ".run"].contains { entry.action.hasSuffix($0) }
                #expect(entry.before != nil || isAddition || entry.action.hasPrefix("queue."), "\(place)")
                #expect(entry.after != nil || entry.action.hasSuffix(".delete"), "\(place)")
                actions.insert(entry.action)
            }
        }
        return actions
    }

    @Test func `an entry holds what changed, and neither secrets nor payloads`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(
            status: .failed, payload: #"{"card": "4711"}"#, attempts: 5, errorMessage: "no luck")
        try await withAPI(on: database) { api in
            let path = "/api/jobs/\(id.text)"
            _ = try await api.send(
                "POST", path + "/retry", as: .user(tenants.member), body: #"{"reason":"fixed the list"}"#)
            _ = try await api.send(
                "PATCH", path, as: .operator, body: #"{"priority":5,"reason":"it is urgent"}"#)
            _ = try await api.send("POST", path + "/cancel", as: .operator)
            _ = try await api.send("DELETE", path + "?reason=not%20needed", as: .user(tenants.admin))
            _ = try await api.send(
                "PUT", "/api/workspaces/\(tenants.mine.text)/settings/apollo-key", as: .user(tenants.admin),
                body: #"{"api_key":"sk-very-secret-1234"}"#)
            let answer = try await api.send("GET", "/api/audit", as: .user(tenants.admin))
            let entries = try #require(answer.json["entries"]?.array)
            #expect(
                entries.map { $0["action"]?.string }
                    == ["settings.add", "job.delete", "job.cancel", "job.reschedule", "job.retry"])
            #expect(
                entries.map { $0["reason"] } == [.null, "not needed", .null, "it is urgent", "fixed the list"])
            let retry = entries[4]
            #expect(retry["before"]?["status"] == "failed" && retry["after"]?["status"] == "pending")
            #expect(retry["before"]?["attempts"] == 5 && retry["after"]?["attempts"] == 0)
            #expect(retry["before"]?["error_message"] == "no luck" && retry["after"]?["error_message"] == .null)
            #expect(retry["before"]?["job_type"] == nil)
            #expect(entries[3]["before"] == ["priority": 0] && entries[3]["after"] == ["priority": 5])
            #expect(entries[1]["before"]?["job_type"] == "noop" && entries[1]["after"] == .null)
            #expect(entries[0]["after"]?["apollo_api_key_hint"] == "1234")
            #expect(entries[0]["after"]?["encryption_key"] == "k1")
            #expect(!answer.text.contains("sk-very-secret") && !answer.text.contains("4711"))
            #expect(!answer.text.contains("v1:"))
        }
    }

    @Test func `filters hold together, pages follow one another`() async throws {
        let tenants = try await Tenants(in: database)
        let ids = [try await database.insertJob(), try await database.insertJob()]
        try await withAPI(on: database) { api in
            for id in ids {
                _ = try await api.send("POST", "/api/jobs/\(id.text)/cancel", as: .user(tenants.member))
                _ = try await api.send("POST", "/api/jobs/\(id.text)/retry", as: .operator)
            }
            @Sendable func count(_ query: String) async throws -> Int? {
                try await api.send("GET", "/api/audit?\(query)", as: .operator).json["entries"]?.array?.count
            }
            #expect(try await count("actor=operator:test") == 2)
            #expect(try await count("actor=operator:test&job_id=\(ids[0].text)") == 1)
            #expect(try await count("action=job.cancel,job.delete") == 2)
            #expect(try await count("via=cli") == 0)
            #expect(try await count("via=api") == 4)
            #expect(try await count("since=2099-01-01T00:00:00Z") == 0)
            #expect(try await count("until=2099-01-01T00:00:00Z&since=2020-01-01T00:00:00Z") == 4)
            #expect(try await count("workspace_id=\(tenants.theirs.text)") == 0)
            var seen: [String] = []
            var cursor = ""
            repeat {
                let page = try await api.send("GET", "/api/audit?limit=3\(cursor)", as: .operator).json
                seen += page["entries"]?.array?.compactMap { $0["job_id"]?.string } ?? []
                cursor = page["next_cursor"]?.string.map { "&cursor=\($0)" } ?? ""
            } while !cursor.isEmpty
            #expect(seen == [ids[1], ids[1], ids[0], ids[0]].map(\.text))
        }
    }

    @Test func `what members change by SQL is told like the rest`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob()
        let workspace = tenants.mine
        _ = try await database.asUser(tenants.admin) { connection in
            try connection.execute("SELECT set_config('jobworker.reason', 'tidy up', true)")
            try connection.execute(
                "INSERT INTO public.jobs (workspace_id, job_type, payload) VALUES (\(workspace), 'mail', '{}')")
            try connection.execute("UPDATE public.jobs SET status = 'cancelled' WHERE id = \(id)")
            try connection.execute("DELETE FROM public.jobs WHERE id = \(id)")
            try connection.execute(
                """
                INSERT INTO public.workspace_settings (workspace_id, apollo_auto_enrich) VALUES (\(workspace), true)
                """)
            try connection.execute("UPDATE public.workspace_settings SET apollo_auto_enrich = false")
        }
        let rows = try await database.query(
            "SELECT action, actor, via, reason, before, after FROM public.job_audit ORDER BY id")
        #expect(
            try rows.map { try $0.decode("action", as: String.self) }
                == ["job.add", "job.cancel", "job.delete", "settings.add", "settings.change"])
        for row in rows {
            #expect(try row.decode("via") == "sql" && row.decode("actor") == "user:\(tenants.admin.text)")
            #expect(try row.decode("reason") == "tidy up")
        }
        let change = try #require(rows.last)
        #expect(try change.decode("before", as: JSONText.self).decode(JSONValue.self) == ["apollo_auto_enrich": true])
        #expect(try change.decode("after", as: JSONText.self).decode(JSONValue.self) == ["apollo_auto_enrich": false])
    }

    @Test func `of many jobs added at once one entry tells`() async throws {
        let tenants = try await Tenants(in: database)
        let jobs = (0..<150).map { _ in
            #"{"workspace_id":"\#(tenants.mine.text)","job_type":"mail"}"#
        }.joined(separator: ",")
        try await withAPI(on: database) { api in
            let added = try await api.send(
                "POST", "/api/jobs", as: .user(tenants.member), body: #"{"jobs":[\#(jobs)]}"#)
            #expect(added.status == 201)
            let entries = try await api.send("GET", "/api/audit", as: .operator).json["entries"]?.array
            #expect(entries?.count == 1 && entries?.first?["after"] == ["jobs": 150, "job_types": ["mail"]])
        }
    }

    @Test func `what a worker or a program does leaves no entry`() async throws {
        let store = JobStore(pool: database.workerPool)
        _ = try await store.enqueue([NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"))]
        )
        try await database.query("UPDATE public.jobs SET status = 'completed'")
        try await database.query("INSERT INTO public.job_queues (name) VALUES ('mail')")
        #expect(try await database.count("true", of: "public.job_audit") == 0)
    }
}
