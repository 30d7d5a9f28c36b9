import Postgres
import Support
import Testing

@Suite(.database(.nothing)) struct CancellationTests {
    let database = TestDatabase.current

    /// Returns when a session runs a statement with this text.
    private func waitUntilRunning(_ text: String) async throws {
        let pattern = "%\(text)%"
        while try await database.value(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE query LIKE \(pattern) AND state = 'active' AND pid <> pg_backend_pid()
            """) == 0
        {
            await Task.yield()
        }
    }

    @Test func `the server stops the statement of a task that is cancelled`() async throws {
        let pool = ConnectionPool(database.settings, limit: 1)
        let task = Task { try await pool.query("/* sleeper:one */ SELECT pg_sleep(\(3600.0))") }
        try await waitUntilRunning("sleeper:one")
        task.cancel()
        let error = await #expect(throws: PostgresError.self) { try await task.value }
        #expect(error?.reason == .cancelled && error?.operation == "sleeper:one")
        #expect(
            try await database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleeper:one%' AND state = 'active' AND pid <> pg_backend_pid()"
            )
                == 0)
        // The same session serves the next task.
        #expect(try await pool.query("SELECT \(1) AS n").first?.decode("n") == 1)
        #expect(pool.openCount == 1)
        await pool.close()
    }

    @Test func `a task that is cancelled already sends nothing`() async throws {
        try await database.run("CREATE TABLE touched (n int)")
        let connection = try await Connection.open(database.settings)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await connection.query("INSERT INTO touched VALUES (\(1)::int)")
        }
        let error = await #expect(throws: PostgresError.self) { try await task.value }
        #expect(error?.reason == .cancelled)
        #expect(try await database.count("true", of: "touched") == 0)
        await connection.close()
    }

    @Test func `a late cancellation never hits the next statement`() async throws {
        let pool = ConnectionPool(database.settings, limit: 1)
        for _ in 0..<200 {
            let task = Task { try await pool.query("SELECT pg_sleep(\(0.0005))") }
            let canceller = Task {
                for _ in 0..<Int.random(in: 0..<200) { await Task.yield() }
                task.cancel()
            }
            _ = await task.result
            #expect(
                try await pool.query("SELECT count(*) AS n FROM generate_series(1, \(2000))").first?.decode("n") == 2000
            )
            await canceller.value
        }
        await pool.close()
    }
}
