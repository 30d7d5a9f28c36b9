import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Schedules in workers of this process, which look by themselves only every five minutes.
@Suite(.database()) struct ScheduleRunTests {
    let database = TestDatabase.current

    private func insert(_ columns: String, _ values: String) async throws {
        try await database.run(
            """
            INSERT INTO public.job_schedules (workspace_id, name, job_type, \(columns))
            VALUES ('\(TestDatabase.workspace.text)', gen_random_uuid()::text, 'noop', \(values))
            """)
    }

    @Test func `a schedule that somebody inserts begins at once, and each job starts at its time`() async throws {
        try await database.withWorker(ScriptedProcessor("noop")) { _ in
            try await database.waitUntilIdle()
            try await insert("every_seconds", "1")
            // Other programs share the machine: one that starts in time shows what the worker can do.
            try await database.waitUntil(
                "status = 'completed' AND started_at - scheduled_for < interval '100 ms'", atMost: .seconds(60))
            try await database.waitUntil(
                "scheduled_for >= (SELECT min(scheduled_for) + interval '2 s' FROM public.jobs)")
        }
        #expect(try await database.count("started_at < scheduled_for") == 0)
    }

    @Test func `eight workers make one job for each tick, and leave out none`() async throws {
        let workers = try (0..<8).map { _ in
            try database.makeWorker([ScriptedProcessor("noop")], change: { $0.pollInterval = .milliseconds(300) })
        }
        let running = workers.map { worker in Task { try await worker.run() } }
        try await database.waitUntilIdle(workers: 8)
        try await insert("every_seconds, overlap", "1, 'allow'")
        try await database.waitUntil("scheduled_for >= (SELECT min(scheduled_for) + interval '3 s' FROM public.jobs)")
        for worker in workers { worker.hurry() }
        for task in running { try await task.value }
        let jobs = try await database.count("true")
        #expect(try await database.value("SELECT count(DISTINCT scheduled_for) FROM public.jobs") == jobs)
        #expect(
            try await database.value(
                "SELECT extract(epoch FROM max(scheduled_for) - min(scheduled_for))::int + 1 FROM public.jobs") == jobs)
    }

    @Test func `a job that the database refuses is told at its schedule, and stops no other`() async throws {
        try await database.run("ALTER TABLE public.jobs ADD CONSTRAINT no_mail CHECK (job_queue <> 'mail')")
        try await insert("every_seconds, next_run_at, job_queue", "3600, now(), 'mail'")
        try await insert("every_seconds, next_run_at", "3600, now()")
        try await database.withWorker(ScriptedProcessor("noop")) { _ in
            try await database.waitUntil("status = 'completed'")
            try await database.waitUntil(
                "job_queue = 'mail' AND next_run_at > now() AND last_error LIKE 'the database refused the job: %no_mail%'",
                of: "public.job_schedules")
        }
        #expect(try await database.count("true") == 1)
    }

    @Test func `what was due while no worker ran is made up for when one starts`() async throws {
        try await insert("cron, next_run_at", "'0 * * * *', date_trunc('hour', now()) - interval '5 hours'")
        try await database.withWorker(ScriptedProcessor("noop")) { _ in
            try await database.waitUntil("status = 'completed' AND scheduled_for = date_trunc('hour', now())")
        }
        #expect(try await database.count("true") == 1)
    }
}
