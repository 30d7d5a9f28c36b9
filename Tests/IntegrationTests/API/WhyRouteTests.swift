import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Why a job is where it is: the same for commands and by HTTP, and for members no more than is theirs to know.
@Suite(.database(), .timeLimit(.minutes(5))) struct WhyRouteTests {
    let database = TestDatabase.current

    private func insertWorker(
        _ id: String = "w-of-app-1", types: String = "noop", queues: String = "default", slots: Int = 5,
        seenAgo: Int = 0
    ) async throws {
        try await database.query(
            """
            INSERT INTO public.job_workers (id, instance, host, queues, job_types, max_concurrent, seen_at)
            VALUES (\(id), 'x', 'app-1.internal', ARRAY[\(queues)], ARRAY[\(types)], \(slots),
                    now() - make_interval(secs => \(seenAgo)))
            """)
    }

    private func codes(_ answer: JSONValue) -> [String] {
        answer["reasons"]?.array?.compactMap { $0["code"]?.string } ?? []
    }

    @Test func `operators are told all, members what is theirs`() async throws {
        let tenants = try await Tenants(in: database)
        try await insertWorker(slots: 1)
        for _ in 0..<3 { _ = try await database.insertJob(workspace: tenants.theirs, createdAgo: .seconds(60)) }
        _ = try await database.insertJob(createdAgo: .seconds(50))
        let id = try await database.insertJob()
        // Later, of another type, not due, of another queue: not before it.
        _ = try await database.insertJob(createdAgo: .zero)
        _ = try await database.insertJob("other", createdAgo: .seconds(60))
        _ = try await database.insertJob(priority: 5, scheduledIn: .seconds(60))
        _ = try await database.insertJob(queue: "mail", createdAgo: .seconds(60))
        _ = try await database.insertJob(status: .processing, workspace: tenants.theirs, workerID: "w-of-app-1")
        try await database.query(
            """
            INSERT INTO public.job_queues (name, paused_at, paused_by, max_running)
            VALUES ('default', now(), 'operator:alice', 1)
            """)
        try await withAPI(on: database) { api in
            let path = "/api/jobs/\(id.text)/why"
            let all = try await api.send("GET", path, as: .operator)
            #expect(all.status == 200 && all.json["state"] == "waiting")
            #expect(codes(all.json) == ["queue_paused", "queue_limit", "slots_busy", "jobs_ahead"])
            let reasons = try #require(all.json["reasons"]?.array)
            #expect(reasons[0]["by"] == "operator:alice" && reasons[1]["max_running"] == 1)
            #expect(reasons[3]["count"] == 4)
            let mine = try await api.send("GET", path, as: .user(tenants.member))
            #expect(codes(mine.json) == codes(all.json))
            #expect(mine.json["reasons"]?.array?.last?["count"] == 1)
            #expect(mine.json["next"]?["what"] == "resume_queue")
            for word in ["alice", "app-1", "max_running", "slots\":", "workers\":"] {
                #expect(!mine.text.contains(word), "\(word)")
            }
            #expect(try await api.send("GET", path, as: .user(tenants.stranger)).status == 404)
            #expect(try await api.send("GET", "/api/jobs/\(UUID().text)/why", as: .operator).status == 404)
        }
    }

    @Test func `a running job's worker and host are told to operators alone`() async throws {
        let tenants = try await Tenants(in: database)
        try await insertWorker()
        let id = try await database.insertJob(
            status: .processing, workerID: "w-of-app-1", startedAgo: .seconds(20), heartbeatAge: .seconds(3))
        try await withAPI(on: database) { api in
            let path = "/api/jobs/\(id.text)/why"
            let all = try await api.send("GET", path, as: .operator)
            #expect(all.json["state"] == "running" && all.json["next"]?["what"] == "end")
            #expect(all.json["reasons"]?.array?.first?["host"] == "app-1.internal")
            #expect(all.json["reasons"]?.array?.first?["worker"] == "w-of-app-1")
            let mine = try await api.send("GET", path, as: .user(tenants.member))
            #expect(codes(mine.json) == ["running", "heartbeat", "deadline"] && !mine.text.contains("app-1"))
        }
    }

    @Test func `parents are named with their state`() async throws {
        let tenants = try await Tenants(in: database)
        let parents = [
            try await database.insertJob("import", status: .processing), try await database.insertJob("import"),
            try await database.insertJob("import", status: .completed),
        ]
        let id = try await database.insertJob(status: .blocked)
        for parent in parents {
            try await database.query(
                "INSERT INTO public.job_dependencies (job_id, depends_on_job_id) VALUES (\(id), \(parent))")
        }
        try await withAPI(on: database) { api in
            for person in [Person.operator, .user(tenants.member)] {
                let answer = try await api.send("GET", "/api/jobs/\(id.text)/why", as: person).json
                #expect(answer["state"] == "blocked" && answer["summary"] == "Waits for 2 other jobs.")
                let named = answer["reasons"]?.array?.compactMap { $0["depends_on_job_id"]?.string } ?? []
                #expect(Set(named) == Set(parents.prefix(2).map(\.text)))
            }
        }
    }

    @Test func `what enrichment lacks is told before it fails`() async throws {
        let tenants = try await Tenants(in: database)
        try await insertWorker(types: "enrich_account")
        let id = try await database.insertJob("enrich_account")
        try await withAPI(on: database) { api in
            @Sendable func told() async throws -> [String] {
                codes(try await api.send("GET", "/api/jobs/\(id.text)/why", as: .user(tenants.member)).json)
            }
            #expect(try await told() == ["nothing", "key_missing"])
            try await database.query(
                """
                INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted)
                VALUES (\(tenants.mine), 'x')
                """)
            #expect(try await told() == ["nothing"])
            try await database.query("UPDATE public.job_workers SET operator_types = ARRAY['enrich_account']")
            try await database.query("UPDATE public.jobs SET inserted_by = 'authenticated'")
            #expect(try await told() == ["nothing", "operators_only"])
        }
    }

    @Test func `the command says the same`() async throws {
        let id = try await database.insertJob()
        let run = try await CommandRun.of("why", id.text, database: database)
        #expect(run.status == 0)
        #expect(run.output.contains("but no worker is alive.") && run.output.contains("Next: It starts once a worker"))
        try await insertWorker(seenAgo: 3600)
        try await withAPI(on: database) { api in
            let answer = try await api.send("GET", "/api/jobs/\(id.text)/why", as: .operator).json
            let command = try await CommandRun.of("why", id.text, "--json", database: database).json()
            for name in ["job_id", "state", "status"] { #expect(command[name] == answer[name]) }
            #expect(codes(command) == codes(answer) && codes(answer) == ["no_worker"])
        }
        let none = try await CommandRun.of("why", UUID().text, database: database)
        #expect(none.status == 2)
        #expect(try await CommandRun.of("why", "x", database: database).status == 64)
    }

    @Test func `who cancelled it stands there, as far as the reader may know`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(status: .processing)
        try await withAPI(on: database) { api in
            _ = try await api.send(
                "POST", "/api/jobs/\(id.text)/cancel", as: .operator, body: #"{"reason":"wrong list"}"#)
            let all = try await api.send("GET", "/api/jobs/\(id.text)/why", as: .operator).json
            #expect(all["state"] == "cancelling")
            #expect(all["reasons"]?.array?.first?["by"] == "operator:test")
            #expect(all["reasons"]?.array?.first?["text"]?.string?.contains("wrong list") == true)
            let mine = try await api.send("GET", "/api/jobs/\(id.text)/why", as: .user(tenants.member)).json
            #expect(mine["state"] == "cancelling" && mine["reasons"]?.array?.first?["by"] == nil)
        }
    }

    @Test func `however many jobs come before it, few of them are read`() async throws {
        try await insertWorker(slots: 1)
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, priority, created_at)
            SELECT \(TestDatabase.workspace), 'noop', '{}', n % 7, now() - interval '1 hour'
            FROM generate_series(1, 30000) AS n
            """)
        try await database.run("ANALYZE public.jobs")
        let id = try await database.insertJob()
        _ = try await database.insertJob(status: .processing, workerID: "w-of-app-1")
        try await withAPI(on: database) { api in
            let answer = try await api.send("GET", "/api/jobs/\(id.text)/why", as: .operator)
            let ahead = answer.json["reasons"]?.array?.first { $0["code"] == "jobs_ahead" }
            #expect(ahead?["count"] == 2000 && ahead?["text"]?.string?.hasPrefix("At least 2000") == true)
        }
    }
}
