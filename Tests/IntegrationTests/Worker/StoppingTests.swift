import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// How runs are stopped: by a cancel, a lost claim, or the worker's own end.
@Suite(.database()) struct StoppingTests {
    let database = TestDatabase.current

    /// Runs until it is told to stop, and notes that.
    private func waiting(_ started: Gate, _ stopped: Gate) -> ScriptedProcessor {
        ScriptedProcessor("wait") { _, _ in
            started.open()
            do {
                try await Task.sleep(for: .seconds(600))
            } catch {
                stopped.open()
                throw error
            }
            return nil
        }
    }

    @Test func `a cancel reaches the running job`() async throws {
        let (started, stopped) = (Gate(), Gate())
        let id = try await database.insertJob("wait")
        try await database.withWorker(
            waiting(started, stopped), change: { $0.heartbeatInterval = .seconds(300) }
        ) { worker in
            try await started.opened()
            for await _ in worker.state.transitions where worker.state.snapshot.isListening { break }
            try await database.query("SELECT jobworker.cancel_job(\(id))")
            // The next heartbeat is minutes away: the notification does it.
            try await stopped.opened()
            try await database.waitUntil("status = 'cancelled' AND NOT lease_open")
            // Counted once the statement has come back.
            let deadline = ContinuousClock.now + .seconds(10)
            while worker.state.snapshot.counts.cancelled == 0, ContinuousClock.now < deadline { await Task.yield() }
            #expect(worker.state.snapshot.counts.cancelled == 1)
        }
        #expect(try await database.job(id).errorMessage == nil)
    }

    @Test func `a job that was cancelled and retried waits for the end of its first run`() async throws {
        let (started, release) = (Gate(), Gate())
        let runs = Counter<Int>()
        let id = try await database.insertJob("stubborn")
        let stubborn = ScriptedProcessor("stubborn") { job, _ in
            runs.add(job.attempt)
            guard runs[1] == 1, !started.isOpen else { return nil }
            started.open()
            await release.passed()
            throw CancellationError()
        }
        try await database.withWorker(stubborn, change: { $0.cancellationGrace = .seconds(60) }) { _ in
            try await started.opened()
            try await database.query("SELECT jobworker.cancel_job(\(id))")
            try await database.query("SELECT jobworker.retry_job(\(id))")
            try await database.insertJob("stubborn", priority: 5)
            try await database.waitUntil("priority = 5 AND status = 'completed'")
            #expect(try await database.job(id).status == "pending")
            release.open()
            try await database.waitUntil("id = '\(id.text)' AND status = 'completed'")
        }
    }

    @Test func `a job that was inserted before a worker stopped, and committed after, is told to another one`()
        async throws
    {
        let (started, gate) = (Gate(), Gate())
        let long = ScriptedProcessor("long") { _, _ in
            started.open()
            await gate.passed()
            return nil
        }
        let application = try await Connection.open(database.settings)
        try await database.withWorker(
            long, ScriptedProcessor("noop"), change: { $0.shutdownTimeout = .seconds(600) }
        ) { worker in
            try await database.waitUntilIdle()
            try await database.insertJob("long")
            try await started.opened()
            try await database.waitUntilIdle()
            try await application.runScript(
                """
                BEGIN;
                INSERT INTO public.jobs (workspace_id, job_type, payload)
                VALUES ('\(TestDatabase.workspace.text)', 'noop', '{}')
                """)
            worker.stop()
            try await database.waitUntilIdle(workers: 0)
            let other = try await WaitingWorker(in: database)
            try await application.runScript("COMMIT")
            let told = try await other.connection.notifications(timeout: .seconds(30))
            #expect(told.map { DueAnnouncement(payload: $0.payload).place?.queue } == ["default"])
            await other.connection.close()
            gate.open()
        }
        await application.close()
    }

    @Test func `a run whose claim was taken back is stopped and writes nothing`() async throws {
        let (started, stopped) = (Gate(), Gate())
        let id = try await database.insertJob("wait")
        try await database.withWorker(waiting(started, stopped)) { worker in
            try await started.opened()
            try await database.query(
                """
                UPDATE public.jobs SET worker_id = 'another', lease_token = nextval('jobworker.lease_tokens'), attempts = 2
                WHERE id = \(id)
                """)
            try await stopped.opened()
            let deadline = ContinuousClock.now + .seconds(10)
            while worker.state.snapshot.counts.fenced == 0, ContinuousClock.now < deadline { await Task.yield() }
            #expect(worker.state.snapshot.counts.fenced == 1)
        }
        let job = try await database.job(id)
        #expect(job.status == "processing")
        #expect(job.workerID == "another")
        #expect(job.attempts == 2)
        #expect(job.leaseIsOpen)
    }

    @Test func `progress and log rows of a lost claim are refused`() async throws {
        let (started, taken, refused) = (Gate(), Gate(), Gate())
        let id = try await database.insertJob("report")
        let reporting = ScriptedProcessor("report") { _, context in
            started.open()
            await taken.passed()
            await #expect(throws: CancellationError.self) { try await context.progress(50, "half") }
            await #expect(throws: CancellationError.self) { try await context.log(.info, "late") }
            refused.open()
            return nil
        }
        try await database.withWorker(reporting, change: { $0.heartbeatInterval = .seconds(300) }) { _ in
            try await started.opened()
            try await database.query(
                "UPDATE public.jobs SET lease_token = nextval('jobworker.lease_tokens') WHERE id = \(id)")
            taken.open()
            await refused.passed()
        }
        #expect(try await database.job(id).progress == "{}")
        #expect(try await database.logs(of: id).allSatisfy { $0.message != "late" })
        #expect(try await database.job(id).status == "processing")
    }

    @Test func `a stopping worker lets running jobs end`() async throws {
        let (started, release) = (Gate(), Gate())
        let id = try await database.insertJob("brief")
        let brief = ScriptedProcessor("brief") { _, _ in
            started.open()
            await release.passed()
            return JSONText("\"done\"")
        }
        let worker = try database.makeWorker([brief])
        let running = Task { try await worker.run() }
        try await started.opened()
        // A look that began before the stop may still find something.
        for await _ in worker.state.transitions where worker.state.snapshot.isListening { break }
        _ = await worker.pollNow(waitingAtMost: .zero)
        worker.stop()
        // Nothing new is begun, although a slot is free and a job is due.
        let late = try await database.insertJob("brief")
        release.open()
        try await running.value
        #expect(try await database.job(id).status == "completed")
        #expect(try await database.job(late).status == "pending")
        #expect(try await database.job(late).attempts == 0)
        #expect(try await database.count("stopped_at IS NOT NULL", of: "public.job_workers") == 1)
    }

    @Test func `what doesn't end in time is given back, its attempt too`() async throws {
        let (started, stopped) = (Gate(), Gate())
        let id = try await database.insertJob("wait")
        let worker = try database.makeWorker(
            [waiting(started, stopped)], change: { $0.shutdownTimeout = .milliseconds(50) })
        let running = Task { try await worker.run() }
        try await started.opened()
        worker.stop()
        try await running.value
        let job = try await database.job(id)
        #expect(job.status == "pending")
        #expect(job.attempts == 0)
        #expect(job.nextRetryAt == nil)
        #expect(!job.leaseIsOpen)
        #expect(try await database.logs(of: id).last?.message == "Given back by the worker: the worker is stopping")
        #expect(worker.state.snapshot.counts.released == 1)
    }

    @Test func `a worker in a hurry doesn't wait for running jobs`() async throws {
        let (started, stopped) = (Gate(), Gate())
        let id = try await database.insertJob("wait")
        let worker = try database.makeWorker(
            [waiting(started, stopped)], change: { $0.shutdownTimeout = .seconds(600) })
        let running = Task { try await worker.run() }
        try await started.opened()
        worker.stop()
        worker.hurry()
        try await running.value
        #expect(try await database.job(id).status == "pending")
        #expect(try await database.job(id).attempts == 0)
    }

    @Test func `cancelling the worker's task gives jobs back as well`() async throws {
        let (started, stopped) = (Gate(), Gate())
        let id = try await database.insertJob("wait")
        let worker = try database.makeWorker([waiting(started, stopped)])
        let running = Task { try await worker.run() }
        try await started.opened()
        running.cancel()
        try await running.value
        #expect(try await database.job(id).status == "pending")
        #expect(try await database.job(id).attempts == 0)
    }

    @Test func `a worker ends although a processor never does`() async throws {
        let end = Gate()
        defer { end.open() }
        let id = try await database.insertJob("deaf", timeout: .seconds(1))
        let deaf = ScriptedProcessor("deaf") { _, _ in
            await end.passed()
            return nil
        }
        // Returns only once the worker has ended; the processor had been given up before that.
        try await database.withWorker(deaf) { worker in
            try await database.waitUntil("error_message LIKE 'Timed out%'")
            #expect(worker.runningCount == 1)
        }
        #expect(!end.isOpen)
        #expect(try await database.job(id).status == "pending")
    }
}
