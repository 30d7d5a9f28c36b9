import Explanation
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// The statements that run all the time must not read the whole table, whatever values they come with.
@Suite(.database()) struct PlanTests {
    let database = TestDatabase.current

    /// Most have ended, a tenth waits, a few run; each has a row in the log.
    private func fillTable(jobs: Int = 20_000) async throws {
        try await database.query(
            """
            WITH added AS (
                INSERT INTO public.jobs (workspace_id, job_type, payload, status, priority, attempts, job_queue,
                                         created_at, worker_id, worker_heartbeat_at, lease_token, lease_open)
                SELECT \(TestDatabase.workspace), 'noop', '{}',
                       CASE WHEN n % 10 = 0 THEN 'pending' WHEN n % 50 = 1 AND n <= 2000 THEN 'processing'
                            ELSE 'completed' END,
                       n % 3, 0, CASE WHEN n % 4 = 0 THEN 'mail' ELSE 'default' END, now() - n * interval '1 s',
                       CASE WHEN n % 50 = 1 AND n <= 2000 THEN 'w' END,
                       CASE WHEN n % 50 = 1 AND n <= 2000 THEN now() END,
                       CASE WHEN n % 10 > 0 THEN nextval('jobworker.lease_tokens') END, n % 50 = 1 AND n <= 2000
                FROM generate_series(1, \(jobs)) AS n
                RETURNING id
            )
            INSERT INTO public.job_logs (job_id, log_level, message) SELECT id, 'info', 'x' FROM added
            """)
        try await database.run("ANALYZE public.jobs")
        try await database.run("ANALYZE public.job_logs")
    }

    /// What a worker sends all the time, in each of its forms.
    private func work(_ store: JobStore) async throws {
        let claimed = try await store.claim(.test(queues: [("default", 5), ("*", 5)], limit: 5)).map(\.claim)
        _ = try await store.poll(
            .test(limit: 1), presence: .test(),
            attention: Attention(workerID: "w", channel: "c", queues: ["*"], lasting: .seconds(1)), reaping: .test())
        _ = try await store.poll(.test(limit: 1), presence: .test(), reaping: .test())
        _ = try await store.lanes(of: [.init(name: "*", free: 1), .init(name: "mail", free: 1)])
        _ = try await store.reap(.test())
        _ = try await store.heartbeat(claimed)
        _ = try await store.setProgress(claimed[0], JSONText("{}"))
        _ = try await store.addLog(claimed[0], level: .info, message: "x", metadata: nil)
        var others: [Claim] = []
        for request in forms {
            let claimed = try await store.claim(request).map(\.claim)
            _ = try await store.exchange(claimed.map { ($0, JSONText("1")) }, for: request)
            others += try await store.exchange([], for: request).claimed.map(\.claim)
        }
        var one = ClaimRequest.test()
        one.only = UUID()
        #expect(try await store.claim(one).isEmpty)
        try await store.passOn([.lane(queue: "default", priority: 0, due: nil)])
        _ = try await store.exchange([(claimed[3], nil)], for: nil)
        _ = try await store.exchange([(others[0], JSONText("1"))], for: nil)
        _ = try await store.complete([(claimed[0], nil)])
        _ = try await store.openClaims([claimed[0]])
        _ = try await store.settle([Settlement(claim: claimed[1], kind: .fail, message: "x")])
        try await store.endRuns([claimed[2]])
    }

    /// One lane, several of few and of many queues, and with a type of which only some more may run.
    private var forms: [ClaimRequest] {
        let one = [ClaimRequest.Lane(queue: "default", priority: 0, from: nil)]
        let few = [one[0], ClaimRequest.Lane(queue: "mail", priority: 1, from: nil)]
        let many = few + (0..<10).map { ClaimRequest.Lane(queue: "other-\($0)", priority: 0, from: nil) }
        var forms = [one, few, many].map { ClaimRequest.test(queues: [("default", 2), ("*", 1)], limit: 2, lanes: $0) }
        for lanes in [one, few] {
            var limited = ClaimRequest.test(queues: [("default", 2), ("*", 1)], limit: 2, lanes: lanes)
            limited.typesLeft = ["noop": 1]
            forms.append(limited)
        }
        return forms
    }

    @Test func `claim, poll, heartbeat, completion and settlement use indexes under a generic plan`() async throws {
        try await fillTable()
        let plans = try await database.plans(work)
        let byName = Dictionary(grouping: plans, by: \.name)
        #expect(
            Set(byName.keys) == [
                "claim", "claim.one", "lanes", "poll", "reap", "heartbeat", "progress", "log", "complete", "exchange",
                "complete_unlocked", "open_claims", "settle", "end_runs", "pass_on",
            ])
        // Of everything, and in the forms above; without completions, an exchange is another statement.
        #expect(byName["claim"]?.count == 6 && byName["exchange"]?.count ?? 0 >= 5 && byName["poll"]?.count == 2)
        for plan in plans {
            #expect(!plan.indexesOfJobs.isEmpty, "\(plan.name)")
            #expect(plan.readWhole.isDisjoint(with: ["jobs", "job_logs"]), "\(plan.name): \(plan.text)")
        }
        for plan in ["claim", "exchange", "lanes", "poll", "pass_on"].flatMap({ byName[$0] ?? [] }) {
            #expect(plan.scans.contains { $0.index == "jobs_due" }, "\(plan.text)")
            let isSorted = plan.scans.contains { $0.index == "jobs_due" && $0.isSorted }
            #expect(!isSorted, "reads all due jobs and sorts them: \(plan.text)")
        }
        #expect(byName["reap"]?.allSatisfy { $0.scans.contains { $0.index == "jobs_processing" } } == true)
        #expect(byName["complete"]?.map(\.indexesOfJobs) == [["jobs_pkey"], ["jobs_pkey"]])
        for plan in ["claim.one", "heartbeat", "complete_unlocked", "open_claims", "settle"].flatMap({
            byName[$0] ?? []
        }) {
            // By the ids, or by way of the few jobs that run.
            #expect(plan.indexesOfJobs.isSubset(of: ["jobs_pkey", "jobs_processing"]), "\(plan.name)")
        }
    }

    @Test func `none of them is expected to read more rows where the table holds twenty times as many`() async throws {
        try await fillTable(jobs: 2000)
        let few = try await database.plans(work)
        try await fillTable(jobs: 38_000)
        let many = try await database.plans(work)
        let before = Dictionary(few.map { ($0.text, $0.estimatedRows) }) { max($0, $1) }
        var compared = 0
        for plan in many {
            guard let expected = before[plan.text] else { continue }
            compared += 1
            #expect(
                plan.estimatedRows <= expected * 2 + 100,
                "\(plan.name): \(expected) rows, then \(plan.estimatedRows): \(plan.text)")
        }
        #expect(compared >= 20)
    }

    @Test func `what a worker sends now and then reads no growing table from one end to the other`() async throws {
        try await fillTable()
        let schedule: UUID? = try await database.value(
            """
            INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds, next_run_at)
            VALUES (\(TestDatabase.workspace), 'x', 'noop', 3600, now() - interval '1 minute') RETURNING id
            """)
        #expect(schedule != nil)
        try await database.query(
            """
            INSERT INTO public.webhook_endpoints (workspace_id, url, secret_encrypted)
            VALUES (\(TestDatabase.workspace), 'https://example.com/', 'x')
            """)
        let plans = try await database.plans(avoidingWholeTables: true) { store in
            try await store.register(.test())
            try await store.attend(
                Attention(workerID: "test-worker", channel: "c", queues: ["*"], lasting: .seconds(1)))
            try await store.turnAway(workerID: "test-worker")
            _ = try await store.takeBackPredecessors(
                of: "test-worker", instance: "default", machineID: "machine", retry: RetryPolicy())
            try await store.noteProgress(in: ["default"])
            _ = try await store.lookForAlerts(AlertRules(), silence: .seconds(60), workerID: "test-worker")
            try await store.addFigures([.init(queue: "default", type: "noop"): .init()])
            let due = try await store.dueSchedules()
            #expect(try await store.tick(due.schedules.map { ScheduleStep($0, now: due.now) }).count == 1)
            _ = try await store.claimDeliveries(DeliveryRoom(free: 10, freeForFailing: 10, endpointMax: 4))
            _ = try await store.clearDeliveries(olderThan: .seconds(60))
            _ = try await store.retire(["completed": 1], archives: false, from: RetirementPlace(), batch: 5)
            try await work(store)
            try await store.leave(workerID: "test-worker")
        }
        #expect(
            Set(plans.map(\.name)).isSuperset(of: [
                "register", "attend", "turn_away", "take_back", "alerts.progress", "alerts.look",
                "figures.add",
                "schedules.due", "schedules.tick", "deliveries.claim", "deliveries.clear", "retention", "leave",
            ]))
        for plan in plans { #expect(plan.readWhole.isEmpty, "\(plan.name): \(plan.readWhole)") }
    }

    /// Functions of triggers have no plan that could be asked for; but what they read is counted.
    @Test func `neither do the triggers of what is sent all the time`() async throws {
        try await fillTable()
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let store = JobStore(pool: pool)
        _ = try await WaitingWorker(in: database, interval: .seconds(3600))
        // A session counts what it has read at the end of this statement.
        let flush: Statement = "SELECT pg_stat_force_next_flush()"
        func readWhole() async throws -> Int {
            try await pool.query(flush)
            return try await database.value(
                """
                SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables
                WHERE schemaname = 'public' AND relname IN ('jobs', 'job_logs')
                """) ?? 0
        }
        // Of the session that filled the table.
        try await database.query(flush)
        let before = try await readWhole()
        let job = NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"), uniqueKey: "k")
        _ = try await store.enqueue([job])
        _ = try await store.enqueue(
            (0..<10).map { _ in
                NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"))
            })
        try await work(store)
        #expect(try await readWhole() == before)
        await pool.close()
    }

    /// PostgreSQL weighs after five executions whether a plan for any values is as good as one for these.
    @Test(arguments: [
        (1, 1, false), (3, 1, false), (8, 1, false), (1, 21, false), (3, 21, false), (8, 21, false), (1, 1, true),
        (3, 21, true),
    ])
    func `a claim is planned once, however many queues and priorities it looks at, also where types have limits`(
        queues: Int, priorities: Int, isLimited: Bool
    ) async throws {
        try await fillTable()
        let names = ["default", "mail"] + (2..<8).map { "queue-\($0)" }
        let lanes = names.prefix(queues).flatMap { queue in
            (0..<priorities).map { ClaimRequest.Lane(queue: queue, priority: $0 - 10, from: nil) }
        }
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let store = JobStore(pool: pool)
        var request = ClaimRequest.test(limit: 2, lanes: lanes)
        if isLimited { request.typesLeft = ["noop": 1, "report": 1] }
        for _ in 0..<10 {
            let claimed = try await store.claim(request).map(\.claim)
            _ = try await store.exchange(claimed.map { ($0, nil) }, for: request)
        }
        let prepared = try await pool.query("SELECT statement, generic_plans FROM pg_prepared_statements")
        var planned: [String: Int] = [:]
        for row in prepared {
            let text = try row.decode("statement", as: String.self)
            planned[Statement(stringLiteral: text).name] = try row.decode("generic_plans")
        }
        for name in ["claim", "exchange"] { #expect(planned["jobworker:\(name)"] ?? 0 >= 4, "\(name)") }
        await pool.close()
    }

    @Test func `an explanation reads a few rows, whatever the table holds`() async throws {
        try await fillTable()
        let id = try await database.insertJob()
        let reader = FactReader(
            for: .operators, silence: .seconds(60), staleAfter: .seconds(60), usualTimeout: .seconds(60))
        let plans = try await database.plans(avoidingWholeTables: true) { store in
            // Outside of a transaction, where statements are prepared.
            _ = try await store.pool.withConnection { connection in try await reader.facts(of: id, connection) }
        }
        let ahead = try #require(plans.first { $0.name == "why.ahead" })
        #expect(ahead.scans.contains { $0.index == "jobs_due" })
        for plan in plans { #expect(plan.readWhole.isEmpty, "\(plan.name)") }
    }

    @Test func `enqueueing looks for duplicates by index`() async throws {
        try await fillTable()
        let job = NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"), uniqueKey: "k")
        let again = NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"), uniqueKey: "k")
        let plans = try await database.plans { store in
            _ = try await store.enqueue([job])
            _ = try await store.enqueue([again])
        }
        #expect(plans.map(\.name).sorted() == ["enqueue", "enqueue.earlier", "enqueue.holders"])
        for plan in plans { #expect(plan.readWhole.isEmpty, "\(plan.name)") }
    }
}
