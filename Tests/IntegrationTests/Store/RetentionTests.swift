import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What becomes of finished jobs.
@Suite(.database(), .timeLimit(.minutes(5))) struct RetentionTests {
    let database = TestDatabase.current

    private static let days = ["completed": 7, "failed": 30, "cancelled": 0]

    private func insert(_ status: JobStatus, days: Int, isLeased: Bool = false) async throws -> UUID {
        try await database.insertJob(
            status: status, createdAgo: .seconds(days * 86_400 + 60), isLeased: isLeased,
            finishedAgo: status.isFinal ? .seconds(days * 86_400) : nil)
    }

    /// Walks once through what is old.
    private func walk(archives: Bool = false, batch: Int = 10) async throws -> Int {
        let store = JobStore(pool: ConnectionPool(database.workerSettings, limit: 1))
        var place = RetirementPlace()
        var retired = 0
        while true {
            let found = try await store.retire(Self.days, archives: archives, from: place, batch: batch)
            retired += found.retired
            place = found.place
            if found.looked < batch { break }
        }
        await store.pool.close()
        return retired
    }

    @Test func `what was finished longer ago than its status is kept goes with its log, and nothing else`() async throws
    {
        let old = try await insert(.completed, days: 8)
        try await database.query(
            "INSERT INTO public.job_logs (job_id, log_level, message) VALUES (\(old), 'info', 'done')")
        let kept = [
            try await insert(.completed, days: 6), try await insert(.failed, days: 29),
            try await insert(.cancelled, days: 90), try await insert(.deadLetter, days: 90),
            try await insert(.pending, days: 90), try await insert(.completed, days: 90, isLeased: true),
        ]
        _ = try await insert(.failed, days: 31)
        #expect(try await walk() == 2)
        #expect(try await database.count("true") == kept.count)
        #expect(try await database.count("true", of: "public.job_logs") == 0)
        #expect(try await database.count("true", of: "public.jobs_archive") == 0)
    }

    @Test func `a workflow goes with the last of its jobs`() async throws {
        for name in ["old", "half"] {
            let jobs = JSONText(#"[{"name":"a","job_type":"noop"},{"name":"b","job_type":"noop"}]"#)
            try await database.query("SELECT jobworker.add_workflow(\(TestDatabase.workspace), \(jobs), \(name))")
        }
        try await database.run(
            """
            UPDATE public.jobs SET status = 'completed', created_at = now() - interval '9 days',
                                   completed_at = now() - interval '8 days'
            FROM public.job_workflows
            WHERE job_workflows.id = jobs.workflow_id AND (job_workflows.name = 'old' OR workflow_step = 'a')
            """)
        #expect(try await walk() == 3)
        #expect(try await database.count("name = 'half'", of: "public.job_workflows") == 1)
        #expect(try await database.count("name = 'old'", of: "public.job_workflows") == 0)
    }

    @Test func `a job whose result a waiting one needs stays`() async throws {
        let parent = try await insert(.completed, days: 90)
        let child = try await database.insertJob(status: .blocked)
        try await database.query(
            "INSERT INTO public.job_dependencies (job_id, depends_on_job_id) VALUES (\(child), \(parent))")
        #expect(try await walk() == 0)
        try await database.query("UPDATE public.jobs SET status = 'completed' WHERE id = \(child)")
        #expect(try await walk() == 1)
    }

    @Test func `two workers at once archive each job once, by the month of its end`() async throws {
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, created_at, completed_at, result)
            SELECT \(TestDatabase.workspace), 'noop', jsonb_build_object('n', n), 'completed', '2025-01-01'::timestamptz
                   + n * interval '1 hour', '2025-01-01'::timestamptz + n * interval '1 hour', '{"ok":true}'
            FROM generate_series(1, 2000) AS n
            """)
        try await database.query(
            "INSERT INTO public.job_logs (job_id, log_level, message) SELECT id, 'info', 'done' FROM public.jobs")
        async let one = walk(archives: true, batch: 50)
        async let two = walk(archives: true, batch: 50)
        #expect(try await one + two == 2000)
        #expect(try await database.count("true") == 0)
        #expect(
            try await database.count(
                "result = '{\"ok\":true}' AND logs -> 0 ->> 'message' = 'done'", of: "public.jobs_archive") == 2000)
        #expect(try await database.count("true", of: "public.jobs_archive_2025_02") == 672)
    }

    @Test func `members read the archive of their workspaces, through the whole alone`() async throws {
        _ = try await insert(.completed, days: 8)
        #expect(try await walk(archives: true) == 1)
        let member = try await database.insertMember()
        let stranger = try await database.insertUser()
        for (user, count) in [(member, 1), (stranger, 0)] {
            let seen = try await database.asUser(user) { connection in
                try connection.execute("SELECT FROM public.jobs_archive").count
            }
            #expect(seen == count)
        }
        let part = try await database.value(
            "SELECT tableoid::regclass::text FROM public.jobs_archive", as: String.self)
        let name = try #require(part)
        #expect(
            try await TestDatabase.refusal {
                try await database.asUser(member) { connection in
                    try connection.execute(Statement(stringLiteral: "SELECT FROM \(name)"))
                }
            } == "42501")
    }

    @Test func `a worker takes what is old by itself`() async throws {
        _ = try await insert(.completed, days: 8)
        try await database.withWorker(ScriptedProcessor("noop")) {
            $0.retentionDays = Self.days
            $0.archives = true
            $0.retentionDelay = .zero
        } _: { _ in
            try await database.waitUntil("true", of: "public.jobs_archive")
        }
        #expect(try await database.count("true") == 0)
    }

    @Test func `a look at old jobs reads as many as it is told and no more`() async throws {
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, created_at, completed_at)
            SELECT \(TestDatabase.workspace), 'noop', '{}', 'completed', now() - interval '90 days', now() - interval '90 days'
            FROM generate_series(1, 5000)
            """)
        let store = JobStore(pool: database.workerPool)
        let found = try await store.retire(Self.days, archives: false, from: RetirementPlace(), batch: 100)
        #expect(found.looked == 100 && found.retired == 100)
        #expect(try await database.count("true") == 4900)
    }

    @Test func `a walk through old jobs reads old ends of an index, however much else there is`() async throws {
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, created_at, completed_at)
            SELECT \(TestDatabase.workspace), 'noop', '{}',
                   CASE WHEN n % 3 = 0 THEN 'pending' WHEN n % 5 = 0 THEN 'dead_letter' ELSE 'completed' END, moment, moment
            FROM (SELECT n, now() - CASE WHEN n <= 3000 THEN 90 ELSE 1 END * interval '1 day' - n * interval '1 s' AS moment
                  FROM generate_series(1, 20000) AS n) AS numbered
            """)
        try await database.run("VACUUM ANALYZE public.jobs")
        let counted = try await database.workerPool.transaction { connection in
            var retired = 0
            // More often than PostgreSQL tries plans of their own for the values.
            for _ in 0..<8 {
                let rows = try connection.execute(
                    """
                    SELECT retired FROM jobworker.retire_jobs(
                        '{"completed": 7, "failed": 30, "dead_letter": 0}', false, NULL, NULL, 20)
                    """)
                retired += try rows[0].decode("retired", as: Int.self)
            }
            let rows = try connection.execute(
                """
                SELECT seq_scan::int AS scans, idx_tup_fetch::int AS fetched
                FROM pg_stat_xact_user_tables WHERE relid = 'public.jobs'::regclass
                """)
            let row = rows[0]
            return (retired, try row.decode("scans", as: Int.self), try row.decode("fetched", as: Int.self))
        }
        #expect(counted.0 == 160 && counted.1 == 0 && counted.2 < 1600, "\(counted)")
    }
}
