import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Bulk changes, figures, records, queues and workers by HTTP.
@Suite(.database(), .timeLimit(.minutes(5))) struct OperationRoutesTests {
    let database = TestDatabase.current

    private static func bulk(_ action: String, _ which: String) -> String { #"{"action":"\#(action)",\#(which)}"# }

    @Test func `bulk does to all that a filter means what the single routes do to one`() async throws {
        let tenants = try await Tenants(in: database)
        for number in 0..<250 { _ = try await database.insertJob(number < 245 ? "mail" : "other") }
        _ = try await database.insertJob("mail", workspace: tenants.theirs)
        let filter = #""filter":{"workspace_id":"\#(tenants.mine.text)","job_type":"mail"}"#
        try await withAPI(on: database) { api in
            @Sendable func send(_ person: Person, _ action: String) async throws -> APIResponse {
                try await api.send("POST", "/api/jobs/bulk", as: person, body: Self.bulk(action, filter))
            }
            #expect(try await send(.user(tenants.member), "cancel").status == 403)
            #expect(try await send(.user(tenants.stranger), "cancel").status == 403)
            let cancelled = try await send(.user(tenants.admin), "cancel")
            #expect(cancelled.json == ["matched": 245, "changed": 245, "more": false])
            // They are cancelled by now; without a status it means what failed.
            #expect(try await send(.operator, "retry").json == ["matched": 0, "changed": 0, "more": false])
            let retried = try await api.send(
                "POST", "/api/jobs/bulk", as: .operator,
                body: Self.bulk("retry", #""filter":{"status":["cancelled"]}"#))
            #expect(retried.json["changed"] == 245)
            #expect(try await database.count("status = 'pending'") == 251)
            #expect(
                try await database.count(
                    "actor = 'user:\(tenants.admin.text)' AND action = 'job.cancel'", of: "public.job_audit") == 245)
        }
    }

    @Test func `bulk passes over what its state doesn't allow`() async throws {
        let waiting = try await database.insertJob()
        let done = try await database.insertJob(status: .completed)
        let failed = try await database.insertJob(status: .failed)
        try await withAPI(on: database) { api in
            let ids = "\"ids\":[\"\(waiting.text)\",\"\(done.text)\",\"\(failed.text)\",\"\(UUID().text)\"]"
            for (action, changed) in [("dead_letter", 1), ("cancel", 1), ("replay", 3), ("delete", 3)] {
                let answer = try await api.send(
                    "POST", "/api/jobs/bulk", as: .operator, body: Self.bulk(action, ids))
                #expect(answer.json == ["matched": 3, "changed": .integer(Int64(changed)), "more": false], "\(action)")
            }
            #expect(try await database.count("replay_of IS NOT NULL") == 3)
        }
    }

    @Test func `a filter without any condition is refused`() async throws {
        _ = try await database.insertJob()
        try await withAPI(on: database) { api in
            for which in [#""filter":{}"#, #""filter":{"statuss":"failed"}"#, #""ids":[]"#, #""filter":null"#] {
                let answer = try await api.send(
                    "POST", "/api/jobs/bulk", as: .operator, body: Self.bulk("cancel", which))
                #expect(answer.status == 422, "\(which)")
            }
            #expect(try await database.count("status = 'pending'") == 1)
        }
    }

    @Test func `the figures are those of the caller's workspaces`() async throws {
        let tenants = try await Tenants(in: database)
        for status in [JobStatus.pending, .completed, .completed, .failed] {
            _ = try await database.insertJob(status: status, startedAgo: .seconds(10), finishedAgo: .zero)
        }
        _ = try await database.insertJob(workspace: tenants.theirs)
        try await withAPI(on: database) { api in
            @Sendable func stats(_ person: Person, _ query: String = "") async throws -> JSONValue {
                try await api.send("GET", "/api/jobs/stats\(query)", as: person).json
            }
            let mine = try await stats(.user(tenants.member))
            #expect(mine["queue_depth"] == 1 && mine["completed_last_hour"] == 2 && mine["failed_last_hour"] == 1)
            #expect(mine["statuses"] == ["pending": 1, "completed": 2, "failed": 1])
            #expect(try await stats(.operator)["queue_depth"] == 2)
            #expect(try await stats(.operator, "?workspace_id=\(tenants.theirs.text)")["queue_depth"] == 1)
            let overview = try await api.send("GET", "/api/jobs/dashboard", as: .user(tenants.member)).json
            #expect(overview["queues"] == [["queue": "default", "depth": 1, "processing": 0]])
            #expect(overview["recent_failures"]?.array?.count == 1)
            #expect(overview["recent_completions"]?.array?.count == 2)
            #expect(overview["types"] == [["job_type": "noop", "count": 4]])
        }
    }

    @Test func `dead letters are listed, grouped, tried again and discarded`() async throws {
        let tenants = try await Tenants(in: database)
        var ids: [UUID] = []
        for number in 0..<4 {
            ids.append(
                try await database.insertJob(
                    status: .failed, errorMessage: number < 3 ? "row \(number) of 'x\(number)' is bad" : "no key"))
        }
        let first = ids[0], second = ids[1]
        try await withAPI(on: database) { api in
            let aside = try await api.send(
                "POST", "/api/jobs/bulk", as: .user(tenants.admin),
                body: Self.bulk("dead_letter", "\"ids\":[\"\(first.text)\"]"))
            #expect(aside.json["changed"] == 1)
            let page = try await api.send("GET", "/api/dead-letter?limit=3", as: .user(tenants.member))
            #expect(page.json["jobs"]?.array?.count == 3)
            let cursor = try #require(page.json["next_cursor"]?.string)
            let rest = try await api.send("GET", "/api/dead-letter?limit=3&cursor=\(cursor)", as: .user(tenants.member))
            #expect(rest.json["jobs"]?.array?.count == 1 && rest.json["next_cursor"] == .null)
            let groups = try await api.send("GET", "/api/dead-letter/groups", as: .operator).json["groups"]?.array
            #expect(groups?.map { $0["count"] } == [3, 1])
            #expect(groups?.first?["error"] == "row # of <text> is bad")
            let path = "/api/dead-letter/\(first.text)"
            #expect(try await api.send("POST", path, as: .user(tenants.member)).status == 403)
            #expect(try await api.send("POST", path, as: .user(tenants.admin)).json["status"] == "pending")
            #expect(try await api.send("GET", path, as: .operator).status == 404)
            #expect(try await database.count("status = 'resolved'", of: "public.dead_letter_queue") == 1)
            let other = "/api/dead-letter/\(second.text)"
            #expect(try await api.send("DELETE", other, as: .user(tenants.member)).status == 403)
            #expect(try await api.send("DELETE", other, as: .user(tenants.admin)).status == 200)
            #expect(try await database.count("id = '\(second.text)'") == 0)
        }
    }

    @Test func `who did what is told to admins and operators`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob()
        try await withAPI(on: database) { api in
            _ = try await api.send("POST", "/api/jobs/\(id.text)/cancel", as: .user(tenants.member))
            _ = try await api.send("POST", "/api/jobs/\(id.text)/retry", as: .operator)
            @Sendable func actions(_ person: Person) async throws -> [String?]? {
                try await api.send("GET", "/api/audit?job_id=\(id.text)", as: person).json["entries"]?.array?.map {
                    $0["action"]?.string
                }
            }
            let seen = try await actions(.operator)
            #expect(seen == ["job.retry", "job.cancel"])
            #expect(try await actions(.user(tenants.admin)) == seen)
            #expect(try await actions(.user(tenants.member)) == [])
            let page = try await api.send("GET", "/api/audit?limit=1", as: .operator)
            let cursor = try #require(page.json["next_cursor"]?.string)
            let rest = try await api.send("GET", "/api/audit?limit=1&cursor=\(cursor)", as: .operator)
            #expect(rest.json["entries"]?.array?.first?["action"] == "job.cancel")
        }
    }

    @Test func `a queue is paused, resumed and limited`() async throws {
        _ = try await database.insertJob(queue: "mail")
        try await withAPI(on: database) { api in
            let paused = try await api.send("POST", "/api/queues/mail/pause", as: .operator)
            #expect(paused.json["paused_by"] == "operator:test" && paused.json["depth"] == 1)
            // Again changes nothing.
            let again = try await api.send("POST", "/api/queues/mail/pause", as: .operator)
            #expect(again.json["paused_at"] == paused.json["paused_at"])
            #expect(try await api.send("POST", "/api/queues/mail/resume", as: .operator).json["paused_at"] == .null)
            let set = try await api.send(
                "PUT", "/api/queues/mail", as: .operator, body: #"{"max_running":3,"dead_letter":true}"#)
            #expect(set.json["max_running"] == 3)
            let unset = try await api.send("PUT", "/api/queues/mail", as: .operator, body: #"{"max_running":null}"#)
            #expect(unset.json["max_running"] == .null)
            #expect(try await database.count("dead_letter", of: "public.job_queues") == 1)
            let actions = try await database.query("SELECT action FROM public.job_audit ORDER BY id")
            #expect(
                try actions.map { try $0.decode("action", as: String.self) }
                    == ["queue.pause", "queue.resume", "queue.set", "queue.set"])
        }
    }

    @Test func `workers are listed with their state`() async throws {
        try await database.run(
            """
            INSERT INTO public.job_workers (id, instance, host, seen_at, stopped_at)
            VALUES ('a', 'x', 'h', now(), NULL), ('b', 'x', 'h', now() - interval '1 hour', NULL), ('c', 'x', 'h', now(), now())
            """)
        try await withAPI(on: database) { api in
            let workers = try await api.send("GET", "/api/workers", as: .operator).json["workers"]?.array
            #expect(workers?.map { $0["state"]?.string } == ["alive", "silent", "stopped"])
        }
    }
}
