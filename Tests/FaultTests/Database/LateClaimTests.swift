import Development
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct LateClaimTests {
    let database = TestDatabase.current

    @Test func `a job whose claim is answered after its lease isn't started any more`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let (late, ledger) = (Ledger(), Ledger())
        try await database.withWorker(
            late.processor(), through: database.workerSettings(through: proxy), change: { $0.hasten() }
        ) { slow in
            try await eventually("it works") { slow.state.snapshot.phase == .working }
            proxy.set(.delay(.seconds(4)))
            let id = try await database.insertJob("noop")
            try await database.waitUntil("status = 'processing'")
            try await database.withWorker(ledger.processor(), change: { $0.hasten() }) { _ in
                try await database.waitUntil("status = 'completed'")
                // Let all of it arrive: the answer to the claim, long late.
                proxy.heal()
                try await eventually("the answer has come, and the release was refused") {
                    slow.state.snapshot.counts.claimed == 1 && slow.runningCount == 0
                }
                #expect(late.runs(of: id) == 0)
                #expect(ledger.runs(of: id) == 1)
            }
        }
        proxy.close()
    }
}
