import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Lists of jobs: that they are right, and that no filter has them read what it doesn't mean.
@Suite(.database()) struct ListTests {
    let database = TestDatabase.current

    private static func workspace(_ number: Int) -> UUID? {
        UUID(uuidString: "00000000-0000-4000-8000-" + String(repeating: "0", count: 11) + String(number))
    }

    private static let member = UUID(uuidString: "00000000-0000-4000-9000-000000000001")

    /// 60 000 jobs of many kinds, most of which went well; some thousand wait, a few run, and some are rare.
    /// - Parameter count: Fewer where the plans are of no interest.
    private func fillWithHistory(_ count: Int = 60_000) async throws {
        try await database.run(
            """
            ALTER TABLE public.jobs DISABLE TRIGGER USER;
            INSERT INTO auth.users (id, email) VALUES ('00000000-0000-4000-9000-000000000001', 'm@example.com');
            INSERT INTO public.workspaces (id, name, slug)
            SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'W', 'w' || n FROM generate_series(0, 7) AS n;
            INSERT INTO public.workspace_members (workspace_id, user_id, role, status)
            SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, '00000000-0000-4000-9000-000000000001', CASE n WHEN 3 THEN 'admin' ELSE 'sdr' END,
                   CASE WHEN n = 5 THEN 'suspended' ELSE 'active' END
            FROM unnest(ARRAY[3, 4, 5]) AS n;
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, priority, attempts, job_queue, created_at,
                                     started_at, completed_at, worker_id, unique_key, error_message,
                                     error_group)
            SELECT ('00000000-0000-4000-8000-' || lpad((n % 8)::text, 12, '0'))::uuid,
                   CASE n % 4999 WHEN 7 THEN 'rare' ELSE (ARRAY['account', 'contact', 'report'])[1 + n % 7 % 3] END, '{}',
                   status, CASE WHEN n % 3001 = 5 THEN 9 WHEN n % 11 > 0 THEN n % 3 END, 1,
                   CASE WHEN n % 4001 = 9 THEN 'odd' WHEN n % 13 > 0 THEN (ARRAY['default', 'mail'])[1 + n % 5 % 2] END,
                   -- Some at the same time, one without.
                   CASE WHEN n <> 77 THEN now() - (n / 3) * interval '21 s' END, now(), now(),
                   CASE n WHEN 41 THEN 'host-once' ELSE 'host-' || n % 6 END, CASE WHEN n % 50 = 0 THEN 'key-' || n END,
                   CASE WHEN status IN ('failed', 'dead_letter') THEN 'Apollo answered ' || 400 + n % 100 || ' for ' || n END,
                   CASE WHEN status IN ('failed', 'dead_letter') THEN CASE WHEN n < 3000 THEN 'aaaaaaaaaaaa' ELSE 'bbbbbbbbbbbb' END END
            FROM (SELECT n, CASE WHEN n > 500 AND n % 37 = 0 THEN 'pending' WHEN n % 70 = 0 THEN 'failed'
                                 WHEN n % 90 = 0 THEN 'cancelled' WHEN n % 900 = 1 THEN 'dead_letter'
                                 WHEN n % 2000 = 2 THEN 'blocked' WHEN n % 3000 = 4 THEN 'processing'
                                 WHEN n % 5000 = 6 THEN NULL WHEN n % 5000 = 8 THEN 'archived'
                                 ELSE 'completed' END AS status
                  FROM generate_series(1, \(count)) AS n) AS history;
            ALTER TABLE public.jobs ENABLE TRIGGER USER;
            """)
        try await database.run("VACUUM ANALYZE public.jobs")
    }

    private typealias Change = @Sendable (inout JobFilter) -> Void

    /// A filter's name, where its jobs have to be read, and the filter. What nobody finds stands beside what many find.
    private static let filters: [(name: String, index: String, change: Change)] = [
        ("nothing", "jobs_by_state", { _ in }),
        ("a workspace", "jobs_workspace_newest", { $0.workspaceID = workspace(3) }),
        ("no workspace", "jobs_workspace_newest", { $0.workspaceID = UUID() }),
        ("completed", "jobs_by_state", { $0.statuses = [.completed] }),
        ("pending", "jobs_by_state", { $0.statuses = [.pending] }),
        ("running", "jobs_processing", { $0.statuses = [.processing] }),
        ("blocked", "jobs_by_state", { $0.statuses = [.blocked] }),
        ("failed and set aside", "jobs_by_state", { $0.statuses = [.failed, .deadLetter] }),
        ("failed and running", "jobs_by_state", { $0.statuses = [.failed, .processing] }),
        (
            "failed in a workspace", "jobs_workspace_out_of_the_ordinary",
            { filter in
                filter.statuses = [.failed]
                filter.workspaceID = workspace(3)
            }
        ),
        ("a type", "jobs_by_kind", { $0.types = ["report"] }),
        ("a rare type", "jobs_by_kind", { $0.types = ["rare"] }),
        ("no type", "jobs_by_kind", { $0.types = ["nonesuch"] }),
        ("two types", "jobs_by_kind", { $0.types = ["report", "rare"] }),
        ("a queue", "jobs_by_kind", { $0.queues = ["mail"] }),
        ("the queue of rows without one", "jobs_by_kind", { $0.queues = ["default"] }),
        ("a rare queue", "jobs_by_kind", { $0.queues = ["odd"] }),
        ("no queue", "jobs_by_kind", { $0.queues = ["nonesuch"] }),
        ("a priority", "jobs_by_kind", { $0.priority = 2 }),
        ("the priority of rows without one", "jobs_by_kind", { $0.priority = 0 }),
        ("a rare priority", "jobs_by_kind", { $0.priority = 9 }),
        ("no priority", "jobs_by_kind", { $0.priority = -7 }),
        ("a worker", "jobs_by_worker", { $0.workerID = "host-3" }),
        ("a worker that ran one", "jobs_by_worker", { $0.workerID = "host-once" }),
        ("no worker", "jobs_by_worker", { $0.workerID = "nonesuch" }),
        ("a unique key", "jobs_keyed", { $0.uniqueKey = "key-5000" }),
        ("no unique key", "jobs_keyed", { $0.uniqueKey = "nonesuch" }),
        ("a text", "jobs_with_error", { $0.search = "answered 4" }),
        ("a text that few have", "jobs_error_text", { $0.search = "for 2170" }),
        ("no text", "jobs_error_text", { $0.search = "nonesuch" }),
        ("no text with signs of a pattern", "jobs_error_text", { $0.search = #"50%_\x"# }),
        ("a text like an id's beginning", "jobs_pkey", { $0.search = "4ab" }),
        ("a digit", "jobs_by_state", { $0.search = "4" }),
        ("a group of errors", "jobs_error_group", { $0.errorGroup = "bbbbbbbbbbbb" }),
        ("a small group of errors", "jobs_error_group", { $0.errorGroup = "aaaaaaaaaaaa" }),
        ("no group of errors", "jobs_error_group", { $0.errorGroup = "nonesuch" }),
        ("older", "jobs_by_state", { $0.olderThan = .seconds(86_400) }),
        ("newer", "jobs_by_state", { $0.newerThan = .seconds(86_400) }),
        ("since", "jobs_by_state", { $0.since = Timestamp(text: "2090-01-01T00:00:00Z") }),
        ("until", "jobs_by_state", { $0.until = Timestamp(text: "2020-01-01T00:00:00Z") }),
        (
            "a type that waits", "jobs_by_state",
            { filter in
                filter.statuses = [.pending]
                filter.types = ["report"]
            }
        ),
        (
            "much at once", "jobs_by_kind",
            { filter in
                filter.statuses = [.completed, .pending, .processing]
                filter.types = ["report", "account"]
                filter.queues = ["default", "mail"]
                filter.priority = 1
                filter.olderThan = .seconds(100)
            }
        ),
    ]

    /// The plan's nodes, the outermost first.
    private func nodes(of plan: JSONValue) -> [(kind: String, relation: String?, index: String?)] {
        let own = (plan["Node Type"]?.string ?? "", plan["Relation Name"]?.string, plan["Index Name"]?.string)
        return [own] + (plan["Plans"]?.array ?? []).flatMap { nodes(of: $0) }
    }

    /// How many rows of `jobs` were read, those that a filter threw away included.
    private func rowsRead(in plan: JSONValue) -> Double {
        let isOfJobs = plan["Relation Name"]?.string == "jobs"
        let each = ["Actual Rows", "Rows Removed by Filter"].compactMap { plan[$0]?.double }.reduce(0, +)
        let own = isOfJobs ? each * (plan["Actual Loops"]?.double ?? 0) : 0
        return own + (plan["Plans"]?.array ?? []).map { rowsRead(in: $0) }.reduce(0, +)
    }

    private func explain(
        _ filter: JobFilter, after cursor: JobCursor? = nil, in scope: JobScope = .everything, on pool: ConnectionPool
    ) async throws -> JSONValue {
        let list = JobStore.newest(filter, after: cursor, limit: 51, in: scope)
        let rows = try await pool.transaction { connection in
            try connection.execute(JobStore.listPlanning(of: filter, in: scope))
            return try connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) SELECT jobs.id \(list)")
        }
        let plan = try rows[0].decode("QUERY PLAN", as: JSONText.self).decode(JSONValue.self)
        return try #require(plan.array?.first?["Plan"])
    }

    /// As a member of two of the workspaces, suspended in a third.
    private var asMember: ConnectionPool {
        get throws {
            let member = try #require(Self.member)
            return database.pool.beginning(with: [
                """
                SELECT set_config('request.jwt.claims', \(#"{"sub":"\#(member.text)","role":"authenticated"}"#), true),
                       set_config('request.jwt.claim.sub', \(member.text), true),
                       set_config('role', 'authenticated', true)
                """
            ])
        }
    }

    @Test func `a list with any one filter reads what it shows and little else, whether many or none are meant`()
        async throws
    {
        try await fillWithHistory()
        for isMiddle in [false, true] {
            for (name, index, change) in Self.filters {
                var filter = JobFilter()
                change(&filter)
                let cursor = isMiddle ? JobCursor(createdAt: Timestamp(text: "2030-01-01T00:00:00Z"), id: UUID()) : nil
                let plan = try await explain(filter, after: cursor, on: database.pool)
                let nodes = nodes(of: plan)
                #expect(nodes.contains { $0.index == index }, "\(name): \(nodes)")
                #expect(!nodes.contains { $0.relation == "jobs" && $0.kind.contains("Seq Scan") }, "\(name): \(nodes)")
                // Of 60 000; a page for each of tens of kinds.
                let count = rowsRead(in: plan)
                #expect(count < 6000, "\(name): \(count) rows read")
            }
        }
    }

    @Test func `counting rare states, and groups of errors, reads only the jobs that are meant`() async throws {
        try await fillWithHistory()
        var failed = JobFilter()
        failed.statuses = [.failed, .deadLetter]
        var blocked = JobFilter()
        blocked.statuses = [.blocked]
        for (name, rest) in [
            ("groups", "FROM (\(JobStore.errorGroups(failed, limit: 50))) AS jobs" as Fragment),
            ("failed", "FROM public.jobs WHERE \(failed.condition)"),
            ("blocked", "FROM public.jobs WHERE \(blocked.condition)"),
        ] {
            let rows = try await database.pool.query("EXPLAIN (ANALYZE, FORMAT JSON) SELECT count(*) \(rest)")
            let plan = try rows[0].decode("QUERY PLAN", as: JSONText.self).decode(JSONValue.self)
            let count = rowsRead(in: try #require(plan.array?.first?["Plan"]))
            // 924 failed or set aside.
            #expect(count < 1000, "\(name): \(count) rows read")
        }
    }

    @Test func `a member's list reads the member's workspaces one by one`() async throws {
        try await fillWithHistory()
        let pool = try asMember
        for (name, _, change) in Self.filters {
            var filter = JobFilter()
            change(&filter)
            let plan = try await explain(filter, in: .memberships, on: pool)
            let nodes = nodes(of: plan)
            #expect(!nodes.contains { $0.relation == "jobs" && $0.kind.contains("Seq Scan") }, "\(name): \(nodes)")
            // Two of eight workspaces of 7500, and what waits.
            let count = rowsRead(in: plan)
            #expect(count < 16_700, "\(name): \(count) rows read")
        }
    }

    @Test func `pages of a list are what sorting all jobs would give, for operators and members`() async throws {
        try await fillWithHistory(9000)
        let member = try asMember
        for (pool, scope) in [(database.pool, JobScope.everything), (member, .memberships), (member, .administered)] {
            for (name, _, change) in Self.filters {
                var filter = JobFilter()
                change(&filter)
                let own: Fragment =
                    scope == .administered
                    ? "workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces()))" : "true"
                let all = try await pool.query(
                    """
                    SELECT jobs.id FROM public.jobs WHERE \(filter.condition) AND \(own)
                    ORDER BY jobs.created_at DESC, jobs.id DESC LIMIT 120
                    """
                ).map { try $0.decode("id", as: UUID.self) }
                var found: [UUID] = []
                var cursor: JobCursor?
                repeat {
                    let page = try await pool.query(
                        "SELECT jobs.id, jobs.created_at \(JobStore.newest(filter, after: cursor, limit: 40, in: scope))"
                    )
                    for row in page {
                        found.append(try row.decode("id"))
                        cursor = JobCursor(createdAt: try row.decodeIfPresent("created_at"), id: try row.decode("id"))
                    }
                    if page.count < 40 { cursor = nil }
                } while cursor != nil && found.count < 120
                #expect(found == all, "\(name), \(scope)")
                let skipped = try await pool.query(
                    "SELECT jobs.id \(JobStore.newest(filter, limit: 10, skipping: 25, in: scope))")
                #expect(
                    try skipped.map { try $0.decode("id", as: UUID.self) } == Array(all.dropFirst(25).prefix(10)),
                    "\(name)")
            }
        }
    }
}
