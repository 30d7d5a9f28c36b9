import API
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database(), .timeLimit(.minutes(5))) struct JobRoutesTests {
    let database = TestDatabase.current

    private func draft(_ workspace: UUID = TestDatabase.workspace, _ more: String = "") -> String {
        #"{"workspace_id":"\#(workspace.text)","job_type":"noop"\#(more)}"#
    }

    @Test func `a member adds a job and gets the bare row`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let answer = try await api.send(
                "POST", "/api/jobs", as: .user(tenants.member),
                body: draft(
                    tenants.mine,
                    #","payload":{"amount":1.50,"big":12345678901234567890},"priority":"high","scheduledFor":"2099-01-01T00:00:00Z""#
                ))
            #expect(answer.status == 201)
            #expect(answer.json["status"] == "pending")
            #expect(answer.json["priority"] == 5)
            #expect(answer.json["created_by"]?.string == tenants.member.text)
            #expect(answer.json["inserted_by"] == "authenticated")
            #expect(answer.json["scheduled_for"]?.string?.hasPrefix("2099-01-01T00:00:00") == true)
            #expect(answer.text.contains(#"{"big": 12345678901234567890, "amount": 1.50}"#))
            let id = try #require(answer.id)
            #expect(try await database.count("id = '\(id.text)'") == 1)
        }
    }

    @Test func `an operator adds a job of any workspace over TCP as well`() async throws {
        try await withAPI(on: database) { api in
            for overTCP in [false, true] {
                let answer = try await api.send("POST", "/api/jobs", as: .operator, body: draft(), overTCP: overTCP)
                #expect(answer.status == 201)
                #expect(answer.json["payload"] == [:])
            }
        }
    }

    @Test func `a batch is added whole, in its order, or not at all`() async throws {
        try await withAPI(on: database) { api in
            let types = (0..<1000).map { "type_\($0)" }
            let jobs = types.map {
                #"{"workspace_id":"\#(TestDatabase.workspace.text)","job_type":"\#($0)"\#($0.hasSuffix("7") ? #","unique_key":"k""# : "")}"#
            }
            let answer = try await api.send(
                "POST", "/api/jobs", as: .operator, body: #"{"jobs":[\#(jobs.joined(separator: ","))]}"#)
            #expect(answer.status == 201)
            #expect(answer.json["jobs"]?.array?.map { $0["job_type"]?.string } == types)
            #expect(try await database.count("true") == 1000)
            let bad = try await api.send(
                "POST", "/api/jobs", as: .operator, body: #"{"jobs":[\#(draft()),\#(draft(UUID()))]}"#)
            #expect(bad.status == 422)
            #expect(try await database.count("true") == 1000)
            let many = try await api.send(
                "POST", "/api/jobs", as: .operator,
                body: #"{"jobs":[\#([String](repeating: draft(), count: 1001).joined(separator: ","))]}"#)
            #expect(many.status == 422)
        }
    }

    @Test func `a unique key gives back the active job`() async throws {
        try await withAPI(on: database) { api in
            let body = draft(TestDatabase.workspace, #","unique_key":"k""#)
            let first = try await api.send("POST", "/api/jobs", as: .operator, body: body)
            let second = try await api.send("POST", "/api/jobs", as: .operator, body: body)
            #expect(first.status == 201 && first.json["duplicate"] == nil)
            #expect(second.status == 200 && second.json["duplicate"] == true)
            #expect(second.id == first.id)
            #expect(try await database.count("true") == 1)
        }
    }

    @Test func `a request with an Idempotency-Key takes effect once`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let key = [(name: "Idempotency-Key", value: "a key")]
            @Sendable func add(_ person: Person, _ body: String) async throws -> APIResponse {
                try await api.send("POST", "/api/jobs", as: person, body: body, headers: key)
            }
            let body = draft(tenants.mine)
            let answers = try await withThrowingTaskGroup(of: APIResponse.self) { group in
                for _ in 0..<8 { group.addTask { try await add(.user(tenants.member), body) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0.status == 201 })
            #expect(Set(answers.map(\.id)).count == 1)
            #expect(answers.count { $0.header("Idempotent-Replayed") == nil } == 1)
            #expect(try await database.count("true") == 1)
            // Somebody else's key is another one; the same key for something else is a mistake.
            #expect(try await add(.operator, body).status == 201)
            #expect(try await database.count("true") == 2)
            let other = try await add(.user(tenants.member), draft(tenants.mine, #","priority":1"#))
            #expect(other.status == 422 && other.code == "idempotency_key_reused")
        }
    }

    @Test func `what failed may be sent again with its key`() async throws {
        try await withAPI(on: database) { api in
            let key = [(name: "Idempotency-Key", value: "k")]
            let id = try await database.insertJob(status: .completed)
            let path = "/api/jobs/\(id.text)/retry"
            #expect(try await api.send("POST", path, as: .operator, headers: key).status == 409)
            try await database.query("UPDATE public.jobs SET status = 'failed' WHERE id = \(id)")
            #expect(try await api.send("POST", path, as: .operator, headers: key).status == 200)
            #expect(try await api.send("POST", path, as: .operator, headers: key).json["status"] == "pending")
        }
    }

    @Test func `pages by cursor show each job once, newest first, whatever is added meanwhile`() async throws {
        var ids: [UUID] = []
        for _ in 0..<7 { ids.append(try await database.insertJob()) }
        let expected = ids
        try await withAPI(on: database) { api in
            var seen: [String] = []
            var path = "/api/jobs?limit=2"
            repeat {
                let page = try await api.send("GET", path, as: .operator)
                #expect(page.status == 200)
                seen += page.json["jobs"]?.array?.compactMap { $0["id"]?.string } ?? []
                _ = try await database.insertJob()
                path = page.json["next_cursor"]?.string.map { "/api/jobs?limit=2&cursor=\($0)" } ?? ""
            } while !path.isEmpty
            #expect(seen == expected.reversed().map(\.text))
        }
    }

    @Test func `pages by number are counted`() async throws {
        for _ in 0..<5 { _ = try await database.insertJob() }
        try await withAPI(on: database) { api in
            let page = try await api.send("GET", "/api/jobs?page=2&limit=2", as: .operator)
            #expect(page.json["jobs"]?.array?.count == 2)
            #expect(
                page.json["pagination"]
                    == [
                        "page": 2, "limit": 2, "total": 5, "total_pages": 3, "has_next": true, "has_prev": true,
                    ])
        }
    }

    @Test(arguments: [
        ("status=failed", 1), ("status=failed&status=pending", 3), ("status=failed,pending", 3), ("job_type=other", 1),
        ("job_queue=mail", 1), ("priority=5", 1), ("since=2099-01-01T00:00:00Z", 0), ("until=2099-01-01T00:00:00Z", 3),
        ("q=BOOM", 1), ("q=%25", 0), ("workspace_id=ffffffff-0000-4000-8000-000000000001", 3),
        ("workspace_id=ffffffff-0000-4000-8000-00000000000f", 0),
    ])
    func `a list holds what its filters mean`(query: String, count: Int) async throws {
        _ = try await database.insertJob()
        let failed = try await database.insertJob(status: .failed)
        let other = try await database.insertJob()
        try await database.query("UPDATE public.jobs SET error_message = 'went boom' WHERE id = \(failed)")
        try await database.query(
            "UPDATE public.jobs SET job_type = 'other', job_queue = 'mail', priority = 5 WHERE id = \(other)")
        try await withAPI(on: database) { api in
            let page = try await api.send("GET", "/api/jobs?\(query)", as: .operator)
            #expect(page.json["jobs"]?.array?.count == count)
        }
    }

    @Test func `a large payload is left out of a list, and shown by itself`() async throws {
        let id = try await database.insertJob()
        try await database.query(
            "UPDATE public.jobs SET payload = jsonb_build_object('a', repeat('x', 20000)) WHERE id = \(id)")
        try await withAPI(on: database) { api in
            let listed = try await api.send("GET", "/api/jobs", as: .operator).json["jobs"]?.array?.first
            #expect(listed?["payload"] == .null && listed?["omitted"] == ["payload"])
            let shown = try await api.send("GET", "/api/jobs/\(id.text)", as: .operator).json["job"]
            #expect(shown?["payload"]?["a"]?.string?.count == 20_000 && shown?["omitted"] == [])
        }
    }

    @Test func `a job is shown with its log, which has pages too`() async throws {
        let id = try await database.insertJob()
        try await database.query(
            """
            INSERT INTO public.job_logs (job_id, log_level, message)
            SELECT \(id), CASE n % 2 WHEN 0 THEN 'info' ELSE 'warning' END, 'row ' || n FROM generate_series(1, 5) AS n
            """)
        try await withAPI(on: database) { api in
            let shown = try await api.send("GET", "/api/jobs/\(id.text)", as: .operator)
            #expect(
                shown.json["logs"]?.array?.map { $0["message"]?.string } == (1...5).map { "row \($0)" })
            let page = try await api.send("GET", "/api/jobs/\(id.text)/logs?level=warn&limit=2", as: .operator)
            #expect(page.json["logs"]?.array?.map { $0["message"]?.string } == ["row 1", "row 3"])
            let cursor = try #require(page.json["next_cursor"]?.string)
            let rest = try await api.send(
                "GET", "/api/jobs/\(id.text)/logs?level=warn&limit=2&cursor=\(cursor)", as: .operator)
            #expect(rest.json["logs"]?.array?.map { $0["message"]?.string } == ["row 5"])
            #expect(rest.json["next_cursor"] == .null)
        }
    }

    @Test func `cancel and retry do what the commands do, and say who it was`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob()
        try await withAPI(on: database) { api in
            let cancelled = try await api.send("POST", "/api/jobs/\(id.text)/cancel", as: .user(tenants.member))
            #expect(cancelled.status == 200 && cancelled.json["status"] == "cancelled")
            let again = try await api.send("POST", "/api/jobs/\(id.text)/cancel", as: .user(tenants.member))
            #expect(again.status == 409 && again.code == "conflict")
            let retried = try await api.send("POST", "/api/jobs/\(id.text)/retry", as: .operator)
            #expect(retried.status == 200 && retried.json["status"] == "pending")
            let patched = try await api.send(
                "PATCH", "/api/jobs/\(id.text)", as: .user(tenants.member), body: #"{"status":"cancelled"}"#)
            #expect(patched.status == 200 && patched.json["status"] == "cancelled")
            #expect(
                try await database.count(
                    "via = 'api' AND action = 'job.cancel' AND actor = 'user:\(tenants.member.text)'",
                    of: "public.job_audit") == 2)
            #expect(
                try await database.count(
                    "via = 'api' AND action = 'job.retry' AND actor = 'operator:test'", of: "public.job_audit") == 1)
        }
    }

    @Test func `a waiting job is moved in time by members, in priority by admins`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(scheduledIn: .seconds(3600))
        try await withAPI(on: database) { api in
            let path = "/api/jobs/\(id.text)"
            let moved = try await api.send(
                "PATCH", path, as: .user(tenants.member), body: #"{"scheduled_for":null}"#)
            #expect(moved.status == 200 && moved.json["scheduled_for"] == .null)
            let urgent = #"{"priority":7}"#
            #expect(try await api.send("PATCH", path, as: .user(tenants.member), body: urgent).status == 403)
            #expect(try await api.send("PATCH", path, as: .user(tenants.admin), body: urgent).json["priority"] == 7)
        }
    }

    @Test func `a finished job is deleted by admins alone`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .completed)
        let waiting = try await database.insertJob()
        try await withAPI(on: database) { api in
            let path = "/api/jobs/\(id.text)"
            #expect(try await api.send("DELETE", path, as: .user(tenants.member)).status == 403)
            #expect(try await api.send("DELETE", path, as: .user(tenants.stranger)).status == 404)
            #expect(try await api.send("DELETE", "/api/jobs/\(waiting.text)", as: .operator).status == 409)
            let gone = try await api.send("DELETE", path, as: .user(tenants.admin))
            #expect(gone.status == 200 && gone.json == ["success": true])
            #expect(try await api.send("DELETE", path, as: .user(tenants.admin)).status == 404)
            #expect(try await database.count("true") == 1)
        }
    }

    @Test func `a replay is a new job that names the old one`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .completed, payload: #"{"a": 1}"#)
        try await withAPI(on: database) { api in
            let path = "/api/jobs/\(id.text)/replay"
            let same = try await api.send("POST", path, as: .user(tenants.member))
            #expect(same.status == 201 && same.json["payload"] == ["a": 1])
            #expect(same.json["replay_of"]?.string == id.text && same.id != id)
            let other = try await api.send("POST", path, as: .user(tenants.member), body: #"{"payload":{"b":2}}"#)
            #expect(other.status == 201 && other.json["payload"] == ["b": 2])
            #expect(try await database.job(id).status == "completed")
        }
    }

    @Test(
        arguments: [
            ("GET", "/api/jobs?limit=0", nil, 400), ("GET", "/api/jobs?limit=1000000000", nil, 400),
            ("GET", "/api/jobs?status=done", nil, 400), ("GET", "/api/jobs?cursor=x", nil, 400),
            ("GET", "/api/jobs?statuss=failed", nil, 400), ("GET", "/api/jobs?limit=1&limit=2", nil, 400),
            ("GET", "/api/jobs/7", nil, 400), ("GET", "/api/jobs/ffffffff-0000-4000-8000-000000000001", nil, 404),
            ("POST", "/api/jobs", "", 400), ("POST", "/api/jobs", "{", 400), ("POST", "/api/jobs", "[]", 422),
            ("POST", "/api/jobs", "{}", 422), ("POST", "/api/jobs", #"{"jobs":[]}"#, 422),
            ("PATCH", "/api/jobs/ffffffff-0000-4000-8000-000000000001", #"{"status":"completed"}"#, 422),
            ("PATCH", "/api/jobs/ffffffff-0000-4000-8000-000000000001", #"{"priority":1}"#, 404),
            ("PUT", "/api/jobs", nil, 405),
        ] as [(String, String, String?, Int)])
    func `what is asked wrongly is answered with what is wrong`(
        method: String, path: String, body: String?, status: Int
    ) async throws {
        try await withAPI(on: database) { api in
            let answer = try await api.send(method, path, as: .operator, body: body)
            #expect(answer.status == status)
            #expect(answer.code != nil && answer.json["error"]?.string?.isEmpty == false)
        }
    }

    @Test func `a body of another type is not read`() async throws {
        try await withAPI(on: database) { api in
            let answer = try await api.send(
                "POST", "/api/jobs", as: .operator, body: draft(),
                headers: [("Content-Type", "application/x-www-form-urlencoded")])
            #expect(answer.status == 415)
        }
    }

    @Test func `connections are opened when somebody asks, and never more than four`() async throws {
        try await withAPI(on: database) { api in
            #expect(api.api.openCount == 0)
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 { group.addTask { try await api.send("GET", "/api/jobs", as: .operator).status } }
                for try await status in group { #expect(status == 200) }
            }
            #expect((1...4).contains(api.api.openCount))
        }
    }
}
