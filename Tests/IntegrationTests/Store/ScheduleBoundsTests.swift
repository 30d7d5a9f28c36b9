import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What nobody may make of a schedule, and what stays whole if somebody did.
@Suite(.database()) struct ScheduleBoundsTests {
    let database = TestDatabase.current

    @discardableResult
    private func insert(
        _ name: String = "x", next: String = "now()", overlap: String = "allow", type: String = "noop"
    ) async throws -> UUID {
        let id: UUID? = try await database.value(
            """
            INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds, next_run_at, overlap)
            VALUES (\(TestDatabase.workspace), \(name), \(type), 3600, \(sql: next), \(overlap)) RETURNING id
            """)
        return try #require(id)
    }

    @discardableResult
    private func tick() async throws -> [ScheduleTick] {
        let store = database.store()
        let found = try await store.dueSchedules()
        return try await store.tick(found.schedules.map { ScheduleStep($0, now: found.now) })
    }

    private func schedules(_ condition: String) async throws -> Int {
        try await database.count(condition, of: "public.job_schedules")
    }

    // MARK: Times

    private static let outOfReach = [
        "'-infinity'", "'infinity'", "'0044-03-15 BC'", "'20000-01-01'", "'1969-12-31T23:59:59Z'", "'2200-01-02Z'",
    ]

    @Test(arguments: outOfReach)
    func `a time that no worker can count with is refused`(time: String) async throws {
        #expect(try await TestDatabase.refusal { try await insert(next: time) } == "23514")
        try await insert(next: "'2199-12-31'")
    }

    /// As if the check weren't there.
    @Test(arguments: outOfReach)
    func `a time that got in nevertheless costs no claim and no other schedule`(time: String) async throws {
        try await database.run("ALTER TABLE public.job_schedules DROP CONSTRAINT next_run_at_in_reach")
        try await insert("odd", next: time)
        try await insert("fine")
        try await database.insertJob()
        let store = database.store()
        let answer = try await store.poll(.test(), presence: .test(), reaping: .test())
        #expect(answer.claimed.count == 1)
        #expect(answer.nextSchedule.map { $0 < answer.now } == true)
        try await tick()
        #expect(try await schedules("name = 'fine' AND last_run_at IS NOT NULL AND last_error IS NULL") == 1)
        // What is due was brought back into reach; what isn't can be shown.
        #expect(try await schedules("name = 'odd' AND next_run_at BETWEEN '0100-01-01' AND now()") == 0)
        try await database.run(
            "UPDATE public.job_schedules SET next_run_at = '-infinity' WHERE next_run_at > now() + interval '9 years'")
        for schedule in try await store.schedules() {
            #expect(schedule.upcoming(5).count == (schedule.nextRunAt == .distantPast ? 0 : 5))
        }
    }

    @Test func `a job with a time that can't be read costs no claim`() async throws {
        try await database.insertJob()
        try await database.run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, scheduled_for)
            VALUES ('\(TestDatabase.workspace.text)', 'noop', '{}', '20000-01-01')
            """)
        let answer = try await database.store().poll(.test(), presence: .test(), reaping: .test())
        #expect(answer.claimed.count == 1)
    }

    // MARK: Many ticks

    @Test func `a thousand missed ticks fit into statements that are short of time, all or nothing`() async throws {
        try await database.run(
            """
            CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_sleep(0.004);
                IF NEW.job_type = 'fragile' AND NEW.scheduled_for > now() - interval '2 hours' THEN
                    RAISE EXCEPTION 'no more';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER dawdle BEFORE INSERT ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.dawdle();
            """)
        let columns = "workspace_id, name, job_type, every_seconds, next_run_at, catch_up"
        let last = "date_trunc('minute', now())"
        for (name, type) in [("whole", "noop"), ("broken", "fragile")] {
            try await database.run(
                """
                INSERT INTO public.job_schedules (\(columns))
                VALUES ('\(TestDatabase.workspace.text)', '\(name)', '\(type)', 3600, \(last) - interval '999 hours', 'all')
                """)
        }
        var settings = database.workerSettings
        settings.statementTimeout = .milliseconds(2500)
        let store = JobStore(pool: ConnectionPool(settings, limit: 1))
        let found = try await store.dueSchedules()
        let steps = found.schedules.map { ScheduleStep($0, now: found.now) }
        for step in steps {
            #expect(step.ticks.count == 1000)
            if step.name == "whole" {
                #expect(try await store.tick([step]) == [ScheduleTick(id: step.id, added: 1000, isSkipped: false)])
                #expect(try await store.tick([step]).isEmpty)
            } else {
                await #expect(throws: PostgresError.self) { try await store.tick([step]) }
            }
        }
        await store.pool.close()
        #expect(try await database.count("job_type = 'noop'") == 1000)
        #expect(try await database.count("job_type = 'fragile'") == 0)
        #expect(
            try await schedules(
                "name = 'whole' AND next_run_at > now() AND last_run_at = next_run_at - interval '1 hour'") == 1)
        #expect(try await schedules("name = 'broken' AND next_run_at < now() AND last_run_at IS NULL") == 1)
    }

    @Test func `missed ticks in pieces are skipped whole while an earlier job hasn't ended`() async throws {
        let id = try await insert(next: "now() - interval '999 hours'", overlap: "skip")
        try await database.run("UPDATE public.job_schedules SET catch_up = 'all'")
        try await database.run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, schedule_id, scheduled_for)
            VALUES ('\(TestDatabase.workspace.text)', 'noop', '{}', '\(id.text)', now() - interval '2000 hours')
            """)
        #expect(try await tick() == [ScheduleTick(id: id, added: 0, isSkipped: true)])
        #expect(try await database.count("true") == 1)
        #expect(try await schedules("next_run_at > now() AND last_run_at IS NULL AND last_skipped_at IS NOT NULL") == 1)
    }

    @Test func `a tick whose time a moved job has taken counts as skipped, not as run`() async throws {
        let id = try await insert(next: "date_trunc('hour', now()) - interval '1 hour'")
        try await database.run("UPDATE public.job_schedules SET catch_up = 'one'")
        try await database.run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, schedule_id, scheduled_for)
            VALUES ('\(TestDatabase.workspace.text)', 'noop', '{}', '\(id.text)', now() + interval '1 day');
            SELECT jobworker.reschedule_job(id, jsonb_build_object('scheduled_for', date_trunc('hour', now()))) FROM public.jobs;
            """)
        #expect(try await tick() == [ScheduleTick(id: id, added: 0, isSkipped: true)])
        #expect(
            try await schedules(
                "last_run_at IS NULL AND last_skipped_at = date_trunc('hour', now()) AND next_run_at > now()")
                == 1)
    }

    // MARK: Rights

    private func writer(_ name: String) async throws -> String? {
        try await database.value("SELECT written_by FROM public.job_schedules WHERE name = \(name)")
    }

    @Test(arguments: ["next_run_at = now()", "enabled = true"])
    func `an admin who steers an operator's schedule answers for its jobs`(change: String) async throws {
        let tenants = try await Tenants(in: database)
        try await insert("x", next: "now() + interval '1 day'")
        if change.hasPrefix("enabled") { try await database.run("UPDATE public.job_schedules SET enabled = false") }
        #expect(try await writer("x") == "postgres")
        #expect(
            try await tenants.attempt(
                Statement(stringLiteral: "UPDATE public.job_schedules SET \(change)"), as: tenants.admin) == .rows(1))
        #expect(try await writer("x") == "authenticated")
        try await database.run("UPDATE public.job_schedules SET next_run_at = now()")
        try await tick()
        #expect(try await database.count("inserted_by = 'authenticated'") == 1)
    }

    @Test func `pausing one, and what the program does for somebody, changes nobody's rights`() async throws {
        let tenants = try await Tenants(in: database)
        try await insert("operator's", next: "now() + interval '1 day'")
        #expect(
            try await tenants.attempt("UPDATE public.job_schedules SET enabled = false", as: tenants.admin) == .rows(1))
        #expect(
            try await tenants.attempt(
                """
                INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds, enabled)
                VALUES (\(tenants.mine), 'member''s', 'noop', 60, false)
                """, as: tenants.admin) == .rows(1))
        // As the worker, as the application's server, and as the owner.
        try await database.workerPool.query("UPDATE public.job_schedules SET enabled = true")
        _ = try await database.asRole("service_role") { connection in
            try connection.execute("UPDATE public.job_schedules SET next_run_at = now() + interval '1 hour'")
        }
        try await database.run("UPDATE public.job_schedules SET next_run_at = now()")
        #expect(try await writer("operator's") == "postgres")
        #expect(try await writer("member's") == "authenticated")
    }

    // MARK: Announcing

    @Test func `a schedule that gets a time again after an error is announced, a tick isn't`() async throws {
        try await insert("broken", next: "NULL")
        try await database.run("UPDATE public.job_schedules SET last_error = 'there is no further time'")
        let worker = try await WaitingWorker(in: database)
        try await database.run(
            "UPDATE public.job_schedules SET next_run_at = now() + interval '1 hour', last_error = NULL")
        #expect(try await worker.heard() == ["schedules"])

        try await database.run("UPDATE public.job_schedules SET next_run_at = NULL, last_error = 'x'")
        let second = try await WaitingWorker(in: database)
        try await database.run("UPDATE public.job_schedules SET next_run_at = now()")
        #expect(try await second.heard() == ["schedules"])
        let third = try await WaitingWorker(in: database, queues: ["none"])
        try await tick()
        try await insert("new", next: "NULL")
        #expect(try await third.heard() == ["schedules"])
        let fourth = try await WaitingWorker(in: database, queues: ["none"])
        try await tick()
        #expect(try await fourth.heard() == [])
    }

    // MARK: Removing

    @Test func `removing a schedule touches none of its jobs`() async throws {
        let id = try await insert()
        try await tick()
        let version: String? = try await database.value("SELECT xmin::text FROM public.jobs")
        _ = try await database.store().removeSchedule(id, by: Requester(actor: "operator:test", via: .cli))
        #expect(try await database.value("SELECT xmin::text FROM public.jobs") == version)
        #expect(try await database.count("schedule_id = '\(id.text)'") == 1)
        #expect(try await schedules("true") == 0)
    }

    // MARK: Files

    @Test func `a schedule that is as its file says needs no lock, and one that is locked refuses its file`()
        async throws
    {
        let names = ["a", "b"]
        for name in names { try await insert(name, next: "now() + interval '1 day'") }
        var settings = database.workerSettings
        settings.lockTimeout = .milliseconds(100)
        let store = JobStore(pool: ConnectionPool(settings, limit: 1))
        let holder = try await Connection.open(database.settings)
        try await holder.runScript("BEGIN; SELECT FROM public.job_schedules FOR UPDATE")
        var changes = ScheduleChanges()
        (changes.jobType, changes.pace, changes.overlap) = ("noop", .every(3600), .allow)
        func apply(_ changes: ScheduleChanges) async throws -> [String] {
            try await store.apply(
                names.map { NamedSchedule(workspaceID: TestDatabase.workspace, name: $0, changes: changes) },
                by: Requester(actor: "file:x", via: .worker))
        }
        #expect(try await apply(changes) == [])
        changes.priority = 3
        let refusal = await #expect(throws: NamedScheduleRefusal.self) { try await apply(changes) }
        #expect(refusal?.name == "a" && refusal?.sentence.contains("locked") == true)
        await holder.close()
        #expect(try await apply(changes) == names)
        await store.pool.close()
    }
}
