import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// The database is out of reach for a while.
@Suite(.database()) struct OutageTests {
    let database = TestDatabase.current

    @Test(arguments: [
        ("jobworker:claim", FaultProxy.Rule.Action.closeBefore), ("jobworker:claim", .dropReply),
        ("jobworker:poll", .closeBefore), ("jobworker:complete", .closeBefore), ("jobworker:complete", .dropReply),
        ("jobworker:exchange", .closeBefore), ("jobworker:exchange", .dropReply),
        ("jobworker:heartbeat", .closeBefore),
    ])
    func `whenever the database goes away, the job runs once and its result is stored once it is back`(
        statement: String, action: FaultProxy.Rule.Action
    ) async throws {
        let proxy = try FaultProxy(to: database.server)
        let ledger = Ledger()
        try await database.withWorker(
            ledger.processor(lasting: statement == "jobworker:heartbeat" ? .seconds(1) : .zero),
            through: database.workerSettings(through: proxy),
            change: {
                $0.hasten(lease: .seconds(5))
                // With one slot a completion and the next claim go together.
                if statement == "jobworker:exchange" { $0.maxConcurrent = 1 }
            }
        ) { worker in
            try await eventually("it listens") { worker.state.snapshot.isListening }
            let gone = proxy.arm(FaultProxy.Rule(statement, action, afterwards: .refuse))
            let hit = Gate()
            let striking = Task {
                try await gone.struck()
                hit.open()
            }
            // A timer's look may take a job before the one that its notification brings: then another job is needed.
            var ids: [UUID] = []
            let isOfMany = ["jobworker:claim", "jobworker:exchange"].contains(statement)
            while !hit.isOpen, ids.count < 60 {
                // One alone is claimed by its id.
                ids += try await database.addJobs(isOfMany ? 2 : 1)
                for _ in 0..<100 where !hit.isOpen { try await Task.sleep(for: .milliseconds(10)) }
            }
            try await striking.value
            let before = proxy.attempts
            try await eventually("it tries to come back") { proxy.attempts >= before + 4 }
            proxy.heal()
            try await database.waitUntilQuiet()
            for id in ids {
                #expect(try await database.job(id).status == "completed")
                #expect(ledger.runs(of: id) == 1)
                #expect(try await database.logs(of: id).filter { $0.message.hasPrefix("Completed in") }.count == 1)
            }
        }
    }

    @Test func `work that ends while the database is away is kept, and stored once it is back`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let (started, go) = (Gate(), Gate())
        let works = ScriptedProcessor("noop") { _, _ in
            started.open()
            await go.passed()
            return JSONText("{\"kept\": true}")
        }
        try await database.withWorker(
            works, through: database.workerSettings(through: proxy), change: { $0.hasten(lease: .seconds(30)) }
        ) { worker in
            let id = try await database.insertJob("noop")
            try await started.opened()
            proxy.set(.refuse)
            proxy.cut()
            go.open()
            try await eventually("it knows") { !worker.state.snapshot.isConnected }
            let before = proxy.attempts
            try await eventually("it tries to come back") { proxy.attempts >= before + 6 }
            #expect(worker.runningCount == 1)
            proxy.heal()
            try await database.waitUntil("status = 'completed'")
            let job = try await database.job(id)
            #expect(job.attempts == 1)
            #expect(job.result == "{\"kept\": true}")
        }
    }

    @Test func `a run whose lease can't be held is stopped, and given back once the database answers`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let (started, stopped) = (Gate(), Gate())
        let works = ScriptedProcessor("noop") { job, _ in
            if stopped.isOpen { return nil }
            started.open()
            do { try await Task.sleep(for: .seconds(600)) } catch {
                stopped.open()
                throw error
            }
            return nil
        }
        try await database.withWorker(
            works, through: database.workerSettings(through: proxy), change: { $0.hasten() }
        ) { worker in
            let id = try await database.insertJob("noop")
            try await started.opened()
            proxy.set(.refuse)
            proxy.cut()
            try await stopped.opened()
            proxy.heal()
            try await database.waitUntil("status = 'completed'")
            #expect(worker.state.snapshot.counts.released == 1)
            // The attempt was given back.
            #expect(try await database.job(id).attempts == 1)
            #expect(
                try await database.logs(of: id).contains { $0.message.contains("could not tell the database in time") })
        }
    }

    @Test func `a daemon says what is wrong, tries again without haste and is ready again by itself`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let daemon = try RunningDaemon(
            database: database.workerString(through: proxy),
            environment: [
                "WORKER_POLL_INTERVAL_MS": "100", "WORKER_HEARTBEAT_SECONDS": "1",
                "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0",
            ])
        try await daemon.waitUntilReady()
        try await database.insertJob("sleep", payload: "{\"seconds\": 600}")
        #expect(await daemon.notify.wait(within: .seconds(60)) { $0.hasPrefix("STATUS=Working: 1 of 5") } != nil)
        #expect(try await daemon.request("GET", "/metrics").body.contains("\njobworker_queue_depth{"))
        proxy.set(.refuse)
        proxy.cut()
        #expect(
            await daemon.notify.wait(within: .seconds(60)) { $0.hasPrefix("STATUS=Database lost, 1 running") } != nil)
        let ready = try await daemon.request("GET", "/readyz")
        #expect(ready.status == 503)
        #expect(ready.body.contains("database_unreachable"))
        // Short of the time after which its jobs are others', it is degraded, and no more than that.
        #expect(try await daemon.request("GET", "/health").status == 200)
        #expect(try await daemon.request("GET", "/healthz").status == 200)
        // What it knew of the queues speaks for nobody any more.
        let figures = try await daemon.request("GET", "/metrics").body
        #expect(figures.contains("\njobworker_database_connected 0\n"))
        #expect(!figures.contains("\njobworker_queue_depth{") && !figures.contains("\njobworker_oldest_due_seconds{"))
        let (attempts, since) = (proxy.attempts, ContinuousClock.now)
        try await eventually("it tries again") { proxy.attempts >= attempts + 5 }
        let span = (ContinuousClock.now - since).seconds
        // Three connections, each after a pause that doubles up to three seconds.
        #expect(Double(proxy.attempts - attempts) <= 30 + 12 * span)
        proxy.heal()
        #expect(await daemon.notify.wait(within: .seconds(60)) { $0.hasPrefix("STATUS=Working: 1 of 5") } != nil)
        #expect(try await daemon.request("GET", "/readyz").status == 200)
        #expect(try await database.count("status = 'processing' AND attempts = 1") == 1)
        daemon.send(.terminate)
        await daemon.stop()
    }

    @Test func `a daemon that is told to stop while the database is away ends in time`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let daemon = try RunningDaemon(
            database: database.workerString(through: proxy), environment: ["WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1"])
        try await daemon.waitUntilReady()
        try await database.insertJob("sleep", payload: "{\"seconds\": 600}")
        #expect(await daemon.notify.wait(within: .seconds(60)) { $0.hasPrefix("STATUS=Working: 1 of 5") } != nil)
        proxy.set(.stall())
        daemon.send(.terminate)
        #expect(await daemon.notify.wait(within: .seconds(60)) { $0 == "STOPPING=1" } != nil)
        daemon.send(.terminate)
        #expect(await daemon.ended() == 0)
        // Nobody could be told: a successor finds the job, its attempt counted.
        #expect(try await database.count("status = 'processing' AND attempts = 1") == 1)
        proxy.heal()
    }
}
