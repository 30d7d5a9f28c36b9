import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct TickTests {
    let database = TestDatabase.current

    /// Adds a schedule.
    /// - Parameter rest: Further columns and their values.
    @discardableResult
    private func insert(
        _ name: String = "x", _ pace: String = "every_seconds", _ value: String = "3600", next: String = "NULL",
        _ rest: (columns: String, values: String)? = nil
    ) async throws -> UUID {
        let id: UUID? = try await database.value(
            """
            INSERT INTO public.job_schedules (workspace_id, name, job_type, \(sql: pace), next_run_at\
            \(sql: rest.map { ", " + $0.columns } ?? ""))
            VALUES (\(TestDatabase.workspace), \(name), 'noop', \(sql: value), \(sql: next)\
            \(sql: rest.map { ", " + $0.values } ?? "")) RETURNING id
            """)
        return try #require(id)
    }

    /// One look of a worker at the schedules.
    @discardableResult
    private func tick(_ store: JobStore? = nil) async throws -> [ScheduleTick] {
        let store = store ?? database.store()
        let found = try await store.dueSchedules()
        return try await store.tick(found.schedules.map { ScheduleStep($0, now: found.now) })
    }

    private func schedules(_ condition: String) async throws -> Int {
        try await database.count(condition, of: "public.job_schedules")
    }

    private static let hourAgo = "date_trunc('hour', now()) - interval '1 hour'"

    @Test func `a tick makes a job like the schedule says, at the tick's time, and moves the time on`() async throws {
        let id = try await insert(
            "nightly", "cron", "'0 * * * *'", next: Self.hourAgo,
            (
                "payload, job_queue, priority, max_attempts, timeout_seconds",
                "'{\"a\": 1}', 'mail', 5, 3, 60"
            ))
        #expect(try await tick() == [ScheduleTick(id: id, added: 1, isSkipped: false)])
        #expect(
            try await database.count(
                """
                schedule_id = '\(id.text)' AND job_type = 'noop' AND payload = '{"a": 1}' AND job_queue = 'mail'
                AND priority = 5 AND max_attempts = 3 AND timeout_seconds = 60 AND status = 'pending'
                AND scheduled_for = date_trunc('hour', now())
                """) == 1)
        #expect(
            try await schedules(
                "next_run_at = date_trunc('hour', now()) + interval '1 hour' AND last_run_at = date_trunc('hour', now())"
            )
                == 1)
        #expect(try await tick().isEmpty)
    }

    @Test func `a schedule without a time gets one, and no job yet`() async throws {
        let id = try await insert("x", "cron", "'0 * * * *'")
        #expect(try await tick() == [ScheduleTick(id: id, added: 0, isSkipped: false)])
        #expect(try await schedules("next_run_at = date_trunc('hour', now()) + interval '1 hour'") == 1)
        try await insert("y", "every_seconds", "90")
        try await tick()
        #expect(
            try await schedules(
                "name = 'y' AND next_run_at BETWEEN now() + interval '80 s' AND now() + interval '91 s'") == 1)
        #expect(try await database.count("true") == 0)
    }

    @Test func `each tick makes one job, however many workers see it`() async throws {
        let id = try await insert("x", next: "now()", ("overlap", "'allow'"))
        let rounds = 25
        for round in 1...rounds {
            // The clock is the database's: the tick moves instead.
            try await database.run(
                "UPDATE public.job_schedules SET next_run_at = now() - interval '\(round) ms' WHERE id = '\(id.text)'")
            let outcomes = try await withThrowingTaskGroup(of: [ScheduleTick].self) { group in
                for _ in 0..<8 { group.addTask { try await self.tick() } }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(outcomes == [ScheduleTick(id: id, added: 1, isSkipped: false)])
            #expect(try await database.count("true") == round)
        }
        #expect(try await database.value("SELECT count(DISTINCT scheduled_for) FROM public.jobs") == rounds)
    }

    @Test func `a step that is sent again after a lost answer does nothing`() async throws {
        try await insert(next: "now()")
        let store = database.store()
        let found = try await store.dueSchedules()
        let steps = found.schedules.map { ScheduleStep($0, now: found.now) }
        #expect(try await store.tick(steps).count == 1)
        #expect(try await store.tick(steps).isEmpty)
        #expect(try await database.count("true") == 1)
    }

    @Test(arguments: ["cron = '5 * * * *', every_seconds = NULL", "payload = '{\"new\": 1}'", "enabled = false"])
    func `a schedule that was changed meanwhile is looked at anew`(change: String) async throws {
        try await insert(next: "now()")
        let store = database.store()
        let found = try await store.dueSchedules()
        try await database.run("UPDATE public.job_schedules SET \(change)")
        #expect(try await store.tick(found.schedules.map { ScheduleStep($0, now: found.now) }).isEmpty)
        #expect(try await database.count("true") == 0)
    }

    // MARK: Overlap

    @Test(arguments: ["pending", "processing", "blocked"])
    func `while an earlier job hasn't ended a tick is skipped, unless the schedule allows both`(
        status: String
    ) async throws {
        let id = try await insert(next: "now()")
        try await tick()
        try await database.run("UPDATE public.jobs SET status = '\(status)'")
        try await database.run("UPDATE public.job_schedules SET next_run_at = now()")
        #expect(try await tick() == [ScheduleTick(id: id, added: 0, isSkipped: true)])
        #expect(try await database.count("true") == 1)
        #expect(try await schedules("next_run_at > now() AND last_skipped_at > last_run_at") == 1)

        try await database.run("UPDATE public.job_schedules SET next_run_at = now(), overlap = 'allow'")
        #expect(try await tick() == [ScheduleTick(id: id, added: 1, isSkipped: false)])
    }

    @Test func `a job that has ended holds no tick back`() async throws {
        try await insert(next: "now()")
        for count in 1...3 {
            try await tick()
            #expect(try await database.count("true") == count)
            try await database.run("UPDATE public.jobs SET status = 'failed'")
            try await database.run("UPDATE public.job_schedules SET next_run_at = now()")
        }
    }

    // MARK: Catching up

    @Test(arguments: [("none", 0), ("one", 1), ("all", 50)])
    func `missed ticks are made up for as the schedule says`(catchUp: String, count: Int) async throws {
        try await insert(next: "now() - interval '49.5 hours'", ("catch_up", "'\(catchUp)'"))
        try await tick()
        #expect(try await database.count("true") == count)
        #expect(try await schedules("next_run_at BETWEEN now() + interval '29 min' AND now() + interval '30 min'") == 1)
        if count > 0 {
            #expect(
                try await database.count(
                    "scheduled_for BETWEEN now() - interval '31 min' AND now() - interval '29 min'") == 1)
        }
    }

    @Test func `a tick that is seen a little late has not been missed`() async throws {
        try await insert(next: "now() - interval '20 s'", ("catch_up", "'none'"))
        try await tick()
        #expect(try await database.count("true") == 1)
    }

    @Test func `at most a thousand ticks are made up for, the latest`() async throws {
        try await insert("x", "every_seconds", "60", next: "now() - interval '30 days'", ("catch_up", "'all'"))
        try await tick()
        #expect(try await database.count("true") == 1000)
        #expect(try await database.count("scheduled_for < now() - interval '1001 min'") == 0)
        #expect(try await database.count("scheduled_for > now() - interval '59 s'") == 1)
    }

    // MARK: What can't work

    @Test func `a schedule that can't be understood says why and is left alone until it is written again`() async throws
    {
        try await database.run("ALTER TABLE public.job_schedules DISABLE TRIGGER job_schedules_insert")
        try await insert("bad", "cron", "'61 * * * *'", next: "now()")
        try await database.run("ALTER TABLE public.job_schedules ENABLE TRIGGER job_schedules_insert")
        try await tick()
        #expect(
            try await schedules(
                "next_run_at IS NULL AND enabled AND last_error = 'the minute field ''61'' has 61, outside 0 to 59'")
                == 1)
        let look = try await database.store().poll(.test(), presence: .test(), reaping: .test())
        #expect(look.nextSchedule == nil)
        #expect(try await tick().isEmpty)

        try await database.run("UPDATE public.job_schedules SET cron = '1 * * * *'")
        try await tick()
        #expect(try await schedules("next_run_at > now() AND last_error IS NULL") == 1)
    }

    // MARK: The timer's look

    @Test func `the timer's look tells when the next schedule is due`() async throws {
        func next() async throws -> Timestamp? {
            try await database.store().poll(.test(), presence: .test(), reaping: .test()).nextSchedule
        }
        #expect(try await next() == nil)
        try await insert("late", next: "now() + interval '2 hours'")
        try await insert("soon", next: "now() + interval '1 hour'")
        try await insert("paused", next: "now()", ("enabled", "false"))
        #expect(
            try await database.value(
                "SELECT \(try await next()) = min(next_run_at) FROM public.job_schedules WHERE enabled") == true)
        try await insert("new")
        #expect(try await next() == .distantPast)
    }

    // MARK: Writing by SQL

    @Test(
        arguments: [
            ("every_seconds", "0", nil), ("cron", "'* * *'", "it has five fields"),
            ("cron", "'0 24 * * *'", "the hour field '24'"),
            ("cron", "'0 0 30 2 *'", "names no day"), ("cron", "'@reboot'", "write @hourly"),
            ("cron, timezone", "'@daily', 'Mars/Olympus'", "write an IANA name"),
            ("cron, timezone", "'@daily', '+02'", "write an IANA name"),
            ("cron, every_seconds", "'@daily', 5", nil),
        ] as [(String, String, String?)])
    func `a plain insert of what can't work is refused with a sentence`(
        columns: String, values: String, words: String?
    ) async throws {
        let error = await #expect(throws: PostgresError.self) {
            try await database.run(
                """
                INSERT INTO public.job_schedules (workspace_id, name, job_type, \(columns))
                VALUES ('\(TestDatabase.workspace.text)', 'x', 'noop', \(values))
                """)
        }
        if let words {
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
            #expect(error?.sqlState == "22023")
        }
    }

    @Test func `who pauses a schedule and lets it go on gets no jobs for the time between`() async throws {
        try await insert(next: "now() + interval '1 ms'")
        try await database.run("UPDATE public.job_schedules SET enabled = false")
        try await tick()
        try await database.run("UPDATE public.job_schedules SET enabled = true")
        try await tick()
        #expect(try await database.count("true") == 0)
        #expect(try await schedules("next_run_at > now() + interval '59 min'") == 1)
    }

    @Test func `a job of a schedule has the rights of who wrote the schedule`() async throws {
        let tenants = try await Tenants(in: database)
        #expect(
            try await tenants.attempt(
                """
                INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds, next_run_at)
                VALUES (\(tenants.mine), 'x', 'noop', 60, now())
                """, as: tenants.admin) == .rows(1))
        try await insert("operators", next: "now()")
        try await tick()
        let roles = "FROM public.jobs JOIN public.job_schedules AS schedule ON schedule.id = schedule_id"
        for (name, role) in [("x", "authenticated"), ("operators", "postgres")] {
            #expect(
                try await database.value(
                    "SELECT inserted_by \(sql: roles) WHERE schedule.name = \(name)", as: String.self)
                    == role)
        }
        // A plain insert can't borrow them.
        #expect(
            try await tenants.attempt(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload, inserted_by)
                VALUES (\(tenants.mine), 'noop', '{}', 'jobworker')
                """, as: tenants.admin) != .rows(1))
    }
}
