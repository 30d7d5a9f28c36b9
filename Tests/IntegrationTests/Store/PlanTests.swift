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
            _ = try await store.exchange([(more[0], JSONText("1"))], for: .test(limit: 1, lanes: lanes))
            _ = try await store.exchange([(claimed[3], nil)], for: nil)
            _ = try await store.complete([(claimed[0], nil)])
            _ = try await store.settle([Settlement(claim: claimed[1], kind: .fail, message: "x")])
            try await store.endRuns([claimed[2]])
        }
        let names = [
            "claim", "lanes", "poll", "reap", "heartbeat", "progress", "log", "complete", "exchange",
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
        for name in ["heartbeat", "complete_unlocked", "settle"] {
            // By the ids, or by way of the few jobs that run.
            let indexes = Set(plans["jobworker:\(name)"]?.compactMap(\.index).filter { $0.hasPrefix("jobs_") } ?? [])
            #expect(!indexes.isEmpty && indexes.isSubset(of: ["jobs_pkey", "jobs_processing"]), "\(name)")
        }
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

    // MARK: Lists

    /// 60 000 jobs of many kinds, most of which went well; the newest of them wait.
    private func fillWithHistory() async throws {
        try await database.run(
            """
            ALTER TABLE public.jobs DISABLE TRIGGER USER;
            INSERT INTO public.workspaces (id, name, slug)
            SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'W', 'w' || n FROM generate_series(1, 40) AS n;
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, priority, attempts, job_queue, created_at,
                                     started_at, completed_at, worker_id, unique_key, error_message)
            SELECT ('00000000-0000-4000-8000-' || lpad((1 + n % 40)::text, 12, '0'))::uuid,
                   (ARRAY['enrich_account', 'enrich_contact', 'report', 'import'])[1 + n % 7 % 4], '{}', status, n % 3, 1,
                   (ARRAY['default', 'imports', 'mail'])[1 + n % 5 % 3], now() - n * interval '7 s', now(), now(),
                   'host-' || n % 6, CASE WHEN n % 50 = 0 THEN 'key-' || n END,
                   CASE WHEN status IN ('failed', 'dead_letter') THEN 'Apollo answered ' || 400 + n % 100 END
            FROM (SELECT n, CASE WHEN n < 600 AND n % 3 = 0 THEN 'pending' WHEN n % 70 = 0 THEN 'failed'
                                 WHEN n % 90 = 0 THEN 'cancelled' WHEN n % 900 = 1 THEN 'dead_letter'
                                 WHEN n % 9000 = 2 THEN 'blocked' ELSE 'completed' END AS status
                  FROM generate_series(1, 60000) AS n) AS history;
            ALTER TABLE public.jobs ENABLE TRIGGER USER;
            -- Those of turns rest where nobody takes any.
            SELECT jobworker.arrange_turns();
            """)
        try await database.run("VACUUM ANALYZE public.jobs")
    }

    /// The plan's nodes, the outermost first.
    private func nodes(of plan: JSONValue) -> [(kind: String, index: String?)] {
        let own = (plan["Node Type"]?.string ?? "", plan["Index Name"]?.string)
        return [own] + (plan["Plans"]?.array ?? []).flatMap { nodes(of: $0) }
    }

    private static let listings: [(String, String, @Sendable (inout JobFilter) -> Void)] = [
        ("nothing", "jobs_newest", { _ in }),
        (
            "a workspace", "_newest",
            { $0.workspaceID = UUID(uuidString: "00000000-0000-4000-8000-000000000007") }
        ),
        ("completed", "jobs_newest", { $0.statuses = [.completed] }),
        ("failed", "jobs_out_of_the_ordinary", { $0.statuses = [.failed] }),
        ("cancelled", "jobs_out_of_the_ordinary", { $0.statuses = [.cancelled] }),
        ("dead letters", "jobs_out_of_the_ordinary", { $0.statuses = [.deadLetter] }),
        (
            "failed in a workspace", "jobs_workspace_out_of_the_ordinary",
            { filter in
                filter.statuses = [.failed]
                filter.workspaceID = UUID(uuidString: "00000000-0000-4000-8000-000000000007")
            }
        ),
        ("a type", "jobs_newest", { $0.types = ["report"] }),
        ("two types", "jobs_newest", { $0.types = ["report", "import"] }),
        ("a queue", "jobs_newest", { $0.queues = ["mail"] }),
        ("a priority", "jobs_newest", { $0.priority = 2 }),
        ("a worker", "jobs_newest", { $0.workerID = "host-3" }),
        ("a unique key", "jobs_keyed", { $0.uniqueKey = "key-5000" }),
        ("a text", "jobs_with_error", { $0.search = "answered 4" }),
        ("older", "jobs_newest", { $0.olderThan = .seconds(86_400) }),
        ("newer", "jobs_newest", { $0.newerThan = .seconds(86_400) }),
        ("until", "jobs_newest", { $0.until = Timestamp(text: "2020-01-01T00:00:00Z") }),
    ]

    @Test func `a list with any one filter reads an index in order until its page is full`() async throws {
        try await fillWithHistory()
        for isMiddle in [false, true] {
            for (name, index, change) in Self.listings {
                var filter = JobFilter()
                change(&filter)
                let cursor = isMiddle ? JobCursor(createdAt: Timestamp(text: "2030-01-01T00:00:00Z"), id: UUID()) : nil
                let rows = try await database.query(
                    "EXPLAIN (FORMAT JSON) SELECT jobs.id \(JobStore.newest(filter, after: cursor, limit: 51))")
                let plan = try rows[0].decode("QUERY PLAN", as: JSONText.self).decode(JSONValue.self)
                let nodes = nodes(of: try #require(plan.array?.first?["Plan"]))
                #expect(nodes.contains { $0.index?.hasSuffix(index) == true }, "\(name): \(nodes)")
                let isReadWhole = nodes.contains { $0.kind.contains("Seq Scan") || $0.kind.hasSuffix("Sort") }
                #expect(!isReadWhole, "\(name): \(nodes)")
            }
        }
    }

    @Test func `what waits and what runs is found by its own small index, or among the newest`() async throws {
        try await fillWithHistory()
        for status in [JobStatus.pending, .processing, .blocked] {
            var filter = JobFilter()
            filter.statuses = [status]
            let rows = try await database.query(
                "EXPLAIN (FORMAT JSON) SELECT jobs.id \(JobStore.newest(filter, after: nil, limit: 51))")
            let plan = try rows[0].decode("QUERY PLAN", as: JSONText.self).decode(JSONValue.self)
            let nodes = nodes(of: try #require(plan.array?.first?["Plan"]))
            #expect(!nodes.contains { $0.kind.contains("Seq Scan") }, "\(status): \(nodes)")
        }
    }
}
