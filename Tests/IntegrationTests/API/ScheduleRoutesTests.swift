import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database(), .timeLimit(.minutes(5))) struct ScheduleRoutesTests {
    let database = TestDatabase.current

    private static func draft(_ workspace: UUID, _ name: String = "nightly", _ rest: String = #""cron":"30 2 * * *""#)
        -> String
    {
        #"{"workspace_id":"\#(workspace.text)","name":"\#(name)","job_type":"noop",\#(rest)}"#
    }

    @Test func `an admin adds, sees, changes, pauses, resumes, runs and removes a schedule`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let admin = Person.user(tenants.admin)
            let added = try await api.send(
                "POST", "/api/schedules", as: admin,
                body: Self.draft(
                    tenants.mine, "nightly",
                    #""cron":"30 2 * * *","timezone":"Europe/Berlin","payload":{"n":1.50},"priority":"high","catch_up":"all""#
                ))
            #expect(added.status == 201)
            #expect(added.text.contains(#""payload":{"n": 1.50}"#))
            #expect(added.json["priority"] == 5 && added.json["overlap"] == "skip" && added.json["catch_up"] == "all")
            #expect(added.json["enabled"] == true && added.json["last_error"] == .null)
            let times = try #require(added.json["next_runs"]?.array)
            #expect(times.count == 5)
            let moments = [added.json["next_run_at"], times.first].map { $0?.string.flatMap { Timestamp(text: $0) } }
            #expect(moments[0] != nil && moments[0] == moments[1])

            let path = "/api/schedules/\(try #require(added.id).text)"
            let changed = try await api.send(
                "PATCH", path, as: admin, body: #"{"every_seconds":60,"job_queue":"mail"}"#)
            #expect(changed.json["cron"] == .null && changed.json["every_seconds"] == 60)
            #expect(changed.json["job_queue"] == "mail" && changed.json["timezone"] == "Europe/Berlin")
            #expect(changed.json["next_run_at"] != added.json["next_run_at"])

            let paused = try await api.send("POST", "\(path)/pause", as: admin)
            #expect(paused.json["enabled"] == false && paused.json["next_runs"] == [])
            let ran = try await api.send("POST", "\(path)/run", as: admin)
            #expect(ran.status == 201 && ran.json["schedule_id"]?.string == added.json["id"]?.string)
            #expect(ran.json["inserted_by"] == "authenticated" && ran.json["job_queue"] == "mail")
            #expect(ran.json["created_by"]?.string == tenants.admin.text)
            let resumed = try await api.send("POST", "\(path)/resume", as: admin)
            #expect(resumed.json["enabled"] == true && resumed.json["next_run_at"] != .null)

            #expect(try await api.send("DELETE", path, as: admin).json == ["success": true])
            #expect(try await api.send("GET", path, as: admin).status == 404)
            // Its job stays, and says where it came from.
            #expect(try await database.count("schedule_id IS NOT NULL") == 1)
            let actions = try await database.query(
                "SELECT action, subject, actor, via FROM public.job_audit ORDER BY id")
            #expect(
                try actions.map { try $0.decode("action", as: String.self) } == [
                    "schedule.add", "schedule.change", "schedule.change", "schedule.run", "schedule.change",
                    "schedule.delete",
                ])
            for row in actions {
                #expect(try row.decode("actor") == "user:\(tenants.admin.text)")
                #expect(try row.decode("subject") == "nightly")
                #expect(try row.decode("via") == "api")
            }
        }
    }

    @Test func `an operator's changes stand in the audit with the operator's name`() async throws {
        try await withAPI(on: database) { api in
            let added = try await api.send(
                "POST", "/api/schedules", as: .operator, body: Self.draft(TestDatabase.workspace))
            let path = "/api/schedules/\(try #require(added.id).text)"
            _ = try await api.send("PATCH", path, as: .operator, body: #"{"cron":"@daily"}"#)
            // The same once more is no change.
            _ = try await api.send("PATCH", path, as: .operator, body: #"{"cron":"@daily"}"#)
            _ = try await api.send("POST", "\(path)/run", as: .operator)
            _ = try await api.send("DELETE", path, as: .operator)
            let rows = try await database.query(
                """
                SELECT action || ' ' || coalesce(before ->> 'every_seconds', '-') || ' ' || coalesce(after ->> 'cron', '-') AS entry FROM public.job_audit
                WHERE actor = 'operator:test' AND via = 'api' AND workspace_id = \(TestDatabase.workspace) ORDER BY id
                """)
            #expect(
                try rows.map { try $0.decode("entry", as: String.self) } == [
                    "schedule.add - 30 2 * * *", "schedule.change - @daily", "schedule.run - -", "schedule.delete - -",
                ])
        }
    }

    @Test func `members look, and only admins of the workspace change`() async throws {
        let tenants = try await Tenants(in: database)
        try await withAPI(on: database) { api in
            let added = try await api.send(
                "POST", "/api/schedules", as: .user(tenants.admin), body: Self.draft(tenants.mine))
            let path = "/api/schedules/\(try #require(added.id).text)"
            let changes: [(String, String, String?)] = [
                ("PATCH", path, #"{"cron":"@daily"}"#), ("DELETE", path, nil), ("POST", "\(path)/pause", nil),
                ("POST", "\(path)/resume", nil), ("POST", "\(path)/run", nil),
            ]
            for (person, look, change) in [(tenants.member, 200, 403), (tenants.stranger, 404, 404)] {
                #expect(try await api.send("GET", path, as: .user(person)).status == look)
                for (method, path, body) in changes {
                    let answer = try await api.send(method, path, as: .user(person), body: body)
                    #expect(answer.status == change, "\(method) \(path)")
                }
                let another = try await api.send(
                    "POST", "/api/schedules", as: .user(person), body: Self.draft(tenants.mine, "other"))
                #expect(another.status == change)
            }
            #expect(try await database.count("true", of: "public.job_schedules") == 1)
            #expect(try await database.count("cron = '30 2 * * *' AND enabled", of: "public.job_schedules") == 1)
            #expect(try await database.count("true") == 0)
        }
    }

    @Test func `what can't work is refused with a sentence`() async throws {
        let workspace = TestDatabase.workspace
        try await withAPI(on: database) { api in
            let cases: [(String, Int, String)] = [
                (#""cron":"61 * * * *""#, 422, "The minute field '61' has 61, outside 0 to 59."),
                (#""cron":"@daily","timezone":"Mars/Olympus""#, 422, "The time zone 'Mars/Olympus' is not known"),
                (#""cron":"@daily","every_seconds":5"#, 422, "exclude each other"),
                (#""priority":0"#, 422, "Give either cron or every_seconds."),
                (#""cron":"@daily","overlap":"never""#, 422, "Overlap must be one of allow, skip."),
                (#""cron":"@daily","next_run_at":"2026-01-01T00:00:00Z""#, 422, "Next_run_at is not known here."),
                (#""cron":"@daily","payload":"\#(String(repeating: "x", count: 70_000))""#, 422, "65536 bytes"),
            ]
            for (rest, status, words) in cases {
                let answer = try await api.send(
                    "POST", "/api/schedules", as: .operator, body: Self.draft(workspace, "x", rest))
                #expect(answer.status == status, "\(rest.prefix(60))")
                #expect(answer.json["error"]?.string?.contains(words) == true, "\(answer.text)")
            }
            #expect(
                try await api.send("POST", "/api/schedules", as: .operator, body: Self.draft(UUID())).status == 404)
            _ = try await api.send("POST", "/api/schedules", as: .operator, body: Self.draft(workspace))
            let twice = try await api.send("POST", "/api/schedules", as: .operator, body: Self.draft(workspace))
            #expect(twice.status == 409 && twice.code == "conflict")
            #expect(try await database.count("true", of: "public.job_schedules") == 1)
        }
    }

    @Test func `schedules are listed page by page`() async throws {
        let tenants = try await Tenants(in: database)
        try await database.run(
            """
            INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds)
            SELECT '\(tenants.mine.text)', 'mine ' || n, 'noop', 60 FROM generate_series(1, 5) AS n;
            INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds)
            VALUES ('\(tenants.theirs.text)', 'theirs', 'noop', 60);
            """)
        try await withAPI(on: database) { api in
            var names: [String] = []
            var cursor = ""
            for _ in 0..<3 {
                let page = try await api.send(
                    "GET", "/api/schedules?limit=2\(cursor)", as: .user(tenants.member))
                names += page.json["schedules"]?.array?.compactMap { $0["name"]?.string } ?? []
                cursor = page.json["next_cursor"]?.string.map { "&cursor=\($0)" } ?? ""
            }
            #expect(cursor.isEmpty)
            #expect(Set(names) == Set((1...5).map { "mine \($0)" }) && names.count == 5)
            let all = try await api.send("GET", "/api/schedules", as: .operator)
            #expect(all.json["schedules"]?.array?.count == 6)
            let one = try await api.send("GET", "/api/schedules?workspace_id=\(tenants.theirs.text)", as: .operator)
            #expect(one.json["schedules"]?.array?.count == 1)
        }
    }
}
