import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// A network that swallows what is sent, while connections seem to be open.
@Suite(.database()) struct StallTests {
    let database = TestDatabase.current

    @Test func `a worker cut off for longer than its lease stops its run before another begins it`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let (ledger, started, stopped) = (Ledger(), Gate(), Gate())
        let here = ScriptedProcessor("noop") { job, _ in
            try await ledger.record(job) {
                started.open()
                do { try await Task.sleep(for: .seconds(600)) } catch { stopped.open() }
                throw JobFailure.permanent("the zombie's word")
            }
        }
        try await database.withWorker(
            here, through: database.workerSettings(through: proxy),
            change: {
                $0.hasten()
                $0.maxConcurrent = 1
            }
        ) { cutOff in
            let id = try await database.insertJob("noop")
            try await started.opened()
            try await database.withWorker(ledger.processor(), change: { $0.hasten() }) { other in
                proxy.set(.stall())
                try await stopped.opened()
                try await database.waitUntil("status = 'completed'")
                #expect(ledger.overlaps == 0)
                #expect(ledger.runs(of: id) == 2)
                let before = try await database.job(id)
                #expect(before.workerID == other.configuration.workerID)
                // What was under way arrives now, late.
                proxy.heal()
                try await eventually("it has let go of the job") { cutOff.runningCount == 0 }
                let after = try await database.job(id)
                #expect(after.status == "completed")
                #expect(after.leaseToken == before.leaseToken)
                #expect(after.heartbeatAt == before.heartbeatAt)
                #expect(cutOff.state.snapshot.counts.fenced == 1)
                #expect(cutOff.state.snapshot.counts.released == 0)
                let logs = try await database.logs(of: id)
                #expect(!logs.contains { $0.message.contains("zombie") || $0.message.hasPrefix("Given back") })
            }
        }
    }

    @Test func `a listening connection that hangs is noticed, and jobs are found by polling meanwhile`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let ledger = Ledger()
        try await database.withWorker(
            ledger.processor(), listen: database.workerSettings(through: proxy), change: { $0.hasten() }
        ) { worker in
            try await eventually("it listens") { worker.state.snapshot.isListening }
            let begun = proxy.attempts
            // This connection alone: the next one is answered.
            proxy.set(.stall(), application: "jobworker tests")
            try await database.insertJob("noop")
            try await database.waitUntil("status = 'completed'")
            try await eventually("it notices") { !worker.state.snapshot.isListening }
            proxy.heal()
            try await eventually("it listens again") { worker.state.snapshot.isListening }
            #expect(proxy.attempts > begun)
            // And hears: no timer is near any more.
            worker.reconfigure { $0.pollInterval = .seconds(300) }
            try await database.insertJob("noop")
            try await database.waitUntilQuiet()
            #expect(ledger.jobs == 2)
        }
    }

    @Test func `slow packets make everything late, and nothing twice`() async throws {
        let proxy = try FaultProxy(to: database.server)
        proxy.set(.delay(.milliseconds(60)))
        let ledger = Ledger()
        try await database.withWorker(
            ledger.processor(), through: database.workerSettings(through: proxy),
            change: { $0.hasten(lease: .seconds(5)) }
        ) { _ in
            try await database.insertJobs(30)
            try await database.waitUntilQuiet()
            #expect(ledger.jobs == 30)
            #expect(ledger.repeated == 0)
        }
    }
}
