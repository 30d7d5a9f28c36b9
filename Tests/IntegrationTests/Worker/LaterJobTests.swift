import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Jobs that become due while workers have nothing to do, which look by themselves only every five minutes: whoever
/// starts one within seconds has waited for its time. Nothing is asked about milliseconds of one job, as other programs
/// share the machine.
@Suite(.database()) struct LaterJobTests {
    let database = TestDatabase.current

    private static let isInTime =
        "status = 'completed' AND started_at BETWEEN scheduled_for AND scheduled_for + interval '10 s'"

    @Test func `a job that is inserted for later starts at its time on an idle worker`() async throws {
        try await database.withWorker(ScriptedProcessor("noop")) { _ in
            try await database.waitUntilIdle()
            try await database.insertJob(scheduledIn: .milliseconds(1500))
            try await database.waitUntil(Self.isInTime)
            // Each waits for the one before: the timer is set anew each time. One that starts within 100 ms shows what
            // the worker can do.
            try await eventually("a job starts within 100 ms of its time", atMost: .seconds(120)) {
                try await database.insertJob(scheduledIn: .milliseconds(200))
                try await database.waitUntilQuiet()
                return try await database.count("started_at < scheduled_for + interval '100 ms'") > 0
            }
        }
        #expect(try await database.count("NOT (\(Self.isInTime))") == 0)
    }

    @Test func `jobs that wait already when a worker starts begin one after another, in any queue`() async throws {
        for (queue, milliseconds) in [("default", 1500), ("mail", 2000), ("default", 2500)] {
            try await database.insertJob(queue: queue, scheduledIn: .milliseconds(milliseconds))
        }
        try await database.insertJob(scheduledIn: .seconds(86_400))
        try await database.withWorker(
            ScriptedProcessor("noop"), change: { $0.queues = [.init(name: "*")] }
        ) { _ in
            try await eventually("three have run") { try await database.count(Self.isInTime) == 3 }
        }
        #expect(try await database.count("status = 'pending'") == 1)
    }

    @Test func `a worker that runs something starts another at its time in a free slot`() async throws {
        let gate = Gate()
        let long = ScriptedProcessor("long") { _, _ in
            await gate.passed()
            return nil
        }
        try await database.withWorker(long, ScriptedProcessor("noop"), change: { $0.maxConcurrent = 2 }) { _ in
            try await database.insertJob("long")
            try await database.waitUntil("status = 'processing'")
            try await database.insertJob(scheduledIn: .milliseconds(700))
            try await database.waitUntil("job_type = 'noop' AND \(Self.isInTime)")
            gate.open()
        }
    }

    @Test func `a worker whose only slot was taken starts another at its time once it is free`() async throws {
        let (started, gate) = (Gate(), Gate())
        let long = ScriptedProcessor("long") { _, _ in
            started.open()
            await gate.passed()
            return nil
        }
        let change = { (configuration: inout WorkerConfiguration) in
            (configuration.maxConcurrent, configuration.heartbeatInterval) = (1, .seconds(300))
        }
        try await database.withWorker(long, ScriptedProcessor("noop"), change: change) { _ in
            try await database.waitUntilIdle()
            // By then the looks that follow the beginning of waiting are over.
            try await database.insertJob(scheduledIn: .seconds(1))
            try await database.waitUntilQuiet()
            try await database.insertJob("long")
            try await started.opened()
            try await database.insertJob(scheduledIn: .milliseconds(1500))
            let told: Timestamp? = try await database.value("SELECT clock_timestamp()")
            // By the same session, after the insert: with the heartbeat that it brings the insert has been heard of.
            try await database.run("NOTIFY jobworker_cancel")
            try await database.waitUntil("worker_heartbeat_at > '\(try #require(told))'")
            gate.open()
            try await eventually("both have run") { try await database.count(Self.isInTime) == 2 }
        }
    }

    @Test func `a job that is moved starts at its new time, and one that is cancelled never`() async throws {
        try await database.withWorker(ScriptedProcessor("noop")) { _ in
            try await database.waitUntilIdle()
            let earlier = try await database.insertJob(scheduledIn: .seconds(86_400))
            let later = try await database.insertJob(scheduledIn: .milliseconds(1000))
            let cancelled = try await database.insertJob(scheduledIn: .milliseconds(1000))
            try await database.run(
                """
                SELECT jobworker.reschedule_job('\(earlier.text)',
                    jsonb_build_object('scheduled_for', clock_timestamp() + interval '1.5 s'));
                SELECT jobworker.reschedule_job('\(later.text)',
                    jsonb_build_object('scheduled_for', clock_timestamp() + interval '2.5 s'));
                SELECT jobworker.cancel_job('\(cancelled.text)');
                """)
            try await eventually("both have run") { try await database.count(Self.isInTime) == 2 }
        }
        #expect(try await database.count("status = 'cancelled' AND started_at IS NULL") == 1)
    }

    @Test func `a retry starts at its time`() async throws {
        let flaky = ScriptedProcessor("noop") { job, _ in
            if job.attempt == 1 { throw JobFailure.retryable("try again") }
            return nil
        }
        try await database.withWorker(flaky, change: { $0.retry = RetryPolicy(delayBase: .seconds(3)) }) { _ in
            try await database.waitUntilIdle()
            try await database.insertJob()
            try await database.waitUntil("status = 'completed' AND attempts = 2")
        }
    }

    @Test func `of eight workers that wait for a job's time one starts it`() async throws {
        let workers = try (0..<8).map { _ in try database.makeWorker([ScriptedProcessor("noop")]) }
        let running = workers.map { worker in Task { try await worker.run() } }
        try await database.waitUntilIdle(workers: 8)
        for round in 1...3 {
            try await database.insertJob(scheduledIn: .milliseconds(1000))
            try await eventually("the job has run") { try await database.count(Self.isInTime) == round }
        }
        for worker in workers { worker.hurry() }
        for task in running { try await task.value }
        #expect(try await database.count("attempts = 1") == 3)
        #expect(try await database.count("message LIKE 'Attempt%started'", of: "public.job_logs") == 3)
    }

    // MARK: Who is told

    private func enqueue(in time: Duration?, queue: String = "default") async throws {
        try await database.insertJob(queue: queue, scheduledIn: time)
    }

    @Test func `only workers that would miss the time are told of it, one more than there are jobs`() async throws {
        let seldom = try await (0..<4).asyncMap {
            try await WaitingWorker(in: database, id: "seldom\($0)", interval: .seconds(60))
        }
        let often = try await WaitingWorker(in: database, id: "often", interval: .seconds(5))
        let other = try await WaitingWorker(in: database, id: "other", queues: ["mail"], interval: .seconds(60))
        try await enqueue(in: .seconds(20))
        try await enqueue(in: .seconds(100))
        var heard: [String] = []
        for worker in seldom { heard += try await worker.heard() }
        #expect(heard == ["default later", "default later"])
        #expect(try await often.heard() == [])
        #expect(try await other.heard() == [])
    }

    @Test func `jobs inserted at once are told of by what is due now and what is first due later`() async throws {
        let worker = try await WaitingWorker(in: database, interval: .seconds(60))
        try await database.run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, scheduled_for)
            SELECT '\(TestDatabase.workspace.text)', 'noop', '{}', time
            FROM unnest(ARRAY[NULL, now() + interval '30 s', now() + interval '20 s', 'infinity', now() + interval '3 days']) AS time
            """)
        #expect(try await worker.heard().sorted() == ["default", "default later"])
    }

    @Test func `a retry and a job that is moved are told of, too`() async throws {
        let worker = try await WaitingWorker(in: database, interval: .seconds(60))
        let job = try await database.insertJob(scheduledIn: .seconds(86_400))
        let failing = try await database.insertJob(status: .processing)
        try await database.run(
            "UPDATE public.jobs SET scheduled_for = now() + interval '20 s' WHERE id = '\(job.text)'")
        try await database.run("UPDATE public.jobs SET scheduled_for = 'infinity' WHERE id = '\(job.text)'")
        _ = try await database.store().settle([
            Settlement(
                claim: try await database.claim(of: failing), kind: .retry, message: "x", delay: .seconds(30),
                retryDelay: .seconds(30))
        ])
        #expect(try await worker.heard() == ["default later", "default later"])
    }

    @Test func `the timer's look and a search tell the earliest time to come of what is served`() async throws {
        let store = database.store()
        func next() async throws -> [Timestamp?] {
            [
                try await store.poll(.test(limit: 0), presence: .test(), reaping: .test()).nextDue,
                try await store.lanes(of: [.init(name: "default", free: 1)]).nextDue,
            ]
        }
        #expect(try await next() == [nil, nil])
        try await database.insertJob()
        try await database.insertJob(queue: "mail", scheduledIn: .seconds(10))
        #expect(try await next() == [nil, nil])
        // Nothing to wait for, and nothing to look for now.
        let far = try await database.insertJob(scheduledIn: .seconds(60))
        try await database.run("UPDATE public.jobs SET scheduled_for = '12000-01-01' WHERE id = '\(far.text)'")
        #expect(try await next() == [nil, nil])
        try await database.insertJob(priority: 5, scheduledIn: .seconds(900))
        try await database.insertJob(scheduledIn: .seconds(600))
        try await database.insertJob(scheduledIn: .seconds(1), retryIn: .seconds(300))
        let first: Timestamp? = try await database.value("SELECT min(next_retry_at) FROM public.jobs")
        #expect(try await next() == [first, first])
    }
}

extension Sequence {
    fileprivate func asyncMap<Value>(_ transform: (Element) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await transform(element)) }
        return values
    }
}
