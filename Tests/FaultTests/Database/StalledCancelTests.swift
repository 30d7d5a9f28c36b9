import Development
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct StalledCancelTests {
    let database = TestDatabase.current

    @Test func `a cancelled task doesn't wait for a network that swallows everything`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let pool = ConnectionPool(database.workerSettings(through: proxy), limit: 1)
        try await pool.query("SELECT 1")
        proxy.set(.stall(.both))
        let task = Task { try await pool.query("SELECT \(1) AS n") }
        try await Task.sleep(for: .milliseconds(100))
        let begin = ContinuousClock.now
        task.cancel()
        let error = await #expect(throws: PostgresError.self) { try await task.value }
        #expect(error?.reason == .connectionLost)
        #expect(ContinuousClock.now - begin < .seconds(5))
        proxy.heal()
        #expect(try await pool.query("SELECT \(2) AS n").first?.decode("n") == 2)
        await pool.close()
        proxy.close()
    }
}
