import Explanation
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// The statements that run all the time must not read the whole table, whatever values they come with.
@Suite(.database()) struct PlanTests {
    let database = TestDatabase.current

    /// 20 000 jobs: most have ended, some wait, some run.
    private func fillTable() async throws {
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, priority, attempts, job_queue, created_at,
                                     worker_id, worker_heartbeat_at, lease_token, lease_open)
            SELECT \(TestDatabase.workspace), 'noop', '{}',
                   CASE WHEN n % 10 = 0 THEN 'pending' WHEN n % 500 = 1 THEN 'processing' ELSE 'completed' END, n % 3, 0,
                   CASE WHEN n % 4 = 0 THEN 'mail' ELSE 'default' END, now() - n * interval '1 s',
                   CASE WHEN n % 500 = 1 THEN 'w' END, CASE WHEN n % 500 = 1 THEN now() END,
                   CASE WHEN n % 10 > 0 THEN nextval('jobworker.lease_tokens') END, n % 500 = 1
            FROM generate_series(1, 20000) AS n
            """)
        try await database.run("ANALYZE public.jobs")
    }

    private struct Scan: Hashable {
        let kind: String
        let relation: String?
        let index: String?
        /// Whether all that it finds is sorted before the first row is locked.
        var isSorted = false
    }

    private func scans(in plan: JSONValue) -> [Scan] {
        var found: [Scan] = []
        if let kind = plan["Node Type"]?.string, kind.contains("Scan") {
            found.append(Scan(kind: kind, relation: plan["Relation Name"]?.string, index: plan["Index Name"]?.string))
        }
        for child in plan["Plans"]?.array ?? [] { found += scans(in: child) }
        if plan["Node Type"]?.string == "LockRows", plan["Plans"]?.array?.first?["Node Type"]?.string == "Sort" {
            for place in found.indices { found[place].isSorted = true }
        }
        return found
    }

    /// Runs `statements`, then asks the server for the plan of each that it has prepared for them.
    private func plans(_ statements: (JobStore) async throws -> Void) async throws -> [String: [Scan]] {
        var settings = database.workerSettings
        settings.connectionString += "&options=-c%20plan_cache_mode%3Dforce_generic_plan"
        let pool = ConnectionPool(settings, limit: 1)
        try await statements(JobStore(pool: pool))
        var found: [String: [Scan]] = [:]
        let prepared = try await pool.query(
            Statement(
                stringLiteral:
                    "SELECT name, statement, cardinality(parameter_types) AS count FROM pg_prepared_statements"))
        for statement in prepared {
            let name: String = try statement.decode("name")
            let nulls = Array(repeating: "NULL", count: try statement.decode("count")).joined(separator: ", ")
            let rows = try await pool.query(Statement(stringLiteral: "EXPLAIN (FORMAT JSON) EXECUTE \(name)(\(nulls))"))
            let plan = try rows[0].decode("QUERY PLAN", as: JSONText.self).decode(JSONValue.self)
            let text: String = try statement.decode("statement")
            found[Statement(stringLiteral: text).name] = scans(in: try #require(plan.array?.first?["Plan"]))
        }
        await pool.close()
        return found
    }

    @Test func `claim, poll, heartbeat, completion and settlement use indexes under a generic plan`() async throws {
        try await fillTable()
        let plans = try await plans { store in
            let claimed = try await store.claim(.test(queues: [("default", 5), ("*", 5)], limit: 5)).map(\.claim)
            _ = try await store.poll(.test(limit: 1), presence: .test(), reaping: .test())
            _ = try await store.lanes(of: [.init(name: "*", free: 1), .init(name: "mail", free: 1)])
            _ = try await store.reap(.test())
            _ = try await store.heartbeat(claimed)
            _ = try await store.setProgress(claimed[0], JSONText("{}"))
            _ = try await store.addLog(claimed[0], level: .info, message: "x", metadata: nil)
            let lanes = [ClaimRequest.Lane(queue: "default", priority: 0, from: nil)]
            let more = try await store.claim(.test(limit: 1, lanes: lanes)).map(\.claim)
            var one = ClaimRequest.test()
            one.only = UUID()
            #expect(try await store.claim(one).isEmpty)
            _ = try await store.exchange([(more[0], JSONText("1"))], for: .test(limit: 1, lanes: lanes))
            _ = try await store.exchange([(claimed[3], nil)], for: nil)
            _ = try await store.complete([(claimed[0], nil)])
            _ = try await store.settle([Settlement(claim: claimed[1], kind: .fail, message: "x")])
            try await store.endRuns([claimed[2]])
        }
        let names = [
            "claim", "claim.one", "lanes", "poll", "reap", "heartbeat", "progress", "log", "complete", "exchange",
            "complete_unlocked",
            "settle", "end_runs",
        ]
        #expect(Set(plans.keys) == Set(names.map { "jobworker:\($0)" }))
        for (name, scans) in plans {
            let ofJobs = scans.filter { $0.relation == "jobs" || $0.index?.hasPrefix("jobs_") == true }
            #expect(!ofJobs.isEmpty, "\(name)")
            #expect(!ofJobs.contains { $0.kind == "Seq Scan" }, "\(name) reads the whole table")
        }
        for name in ["claim", "exchange", "lanes", "poll"] {
            #expect(plans["jobworker:\(name)"]?.contains { $0.index == "jobs_due" } == true)
            let isSorted = plans["jobworker:\(name)"]?.contains { $0.index == "jobs_due" && $0.isSorted }
            #expect(isSorted == false, "\(name) reads all due jobs and sorts them")
        }
        #expect(plans["jobworker:reap"]?.contains { $0.index == "jobs_processing" } == true)
        #expect(
            Set(plans["jobworker:complete"]?.compactMap(\.index).filter { $0.hasPrefix("jobs_") } ?? []) == [
                "jobs_pkey"
            ])
        for name in ["claim.one", "heartbeat", "complete_unlocked", "settle"] {
            // By the ids, or by way of the few jobs that run.
            let indexes = Set(plans["jobworker:\(name)"]?.compactMap(\.index).filter { $0.hasPrefix("jobs_") } ?? [])
            #expect(!indexes.isEmpty && indexes.isSubset(of: ["jobs_pkey", "jobs_processing"]), "\(name)")
        }
    }

    /// PostgreSQL weighs after five executions whether a plan for any values is as good as one for these.
    @Test(arguments: [1, 3, 8], [1, 21])
    func `a claim is planned once, however many queues and priorities it looks at`(
        queues: Int, priorities: Int
    ) async throws {
        try await fillTable()
        let names = ["default", "mail"] + (2..<8).map { "queue-\($0)" }
        let lanes = names.prefix(queues).flatMap { queue in
            (0..<priorities).map { ClaimRequest.Lane(queue: queue, priority: $0 - 10, from: nil) }
        }
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let store = JobStore(pool: pool)
        for _ in 0..<10 {
            let claimed = try await store.claim(.test(limit: 2, lanes: lanes)).map(\.claim)
            _ = try await store.exchange(claimed.map { ($0, nil) }, for: .test(limit: 2, lanes: lanes))
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
        let plans = try await plans { store in
            // Outside of a transaction, where statements are prepared.
            _ = try await store.pool.withConnection { connection in try await reader.facts(of: id, connection) }
        }
        let ahead = try #require(plans["jobworker:why.ahead"])
        #expect(ahead.contains { $0.index == "jobs_due" })
        for (name, scans) in plans {
            #expect(!scans.contains { $0.kind == "Seq Scan" && $0.relation == "jobs" }, "\(name)")
        }
    }

    @Test func `enqueueing looks for duplicates by index`() async throws {
        try await fillTable()
        let job = NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"), uniqueKey: "k")
        let again = NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"), uniqueKey: "k")
        let plans = try await plans { store in
            _ = try await store.enqueue([job])
            _ = try await store.enqueue([again])
        }
        #expect(plans.keys.sorted() == ["enqueue", "enqueue.earlier", "enqueue.holders"].map { "jobworker:\($0)" })
        for (name, scans) in plans {
            #expect(!scans.contains { $0.kind == "Seq Scan" && $0.relation == "jobs" }, "\(name)")
        }
    }
}
