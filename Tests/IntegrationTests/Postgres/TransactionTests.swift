import Postgres
import Support
import Testing

@Suite(.database(.nothing)) struct TransactionTests {
    let database = TestDatabase.current

    private struct Stop: Error {}

    private func prepare() async throws {
        try await database.run(
            "CREATE TABLE notes (n int PRIMARY KEY, other int REFERENCES notes DEFERRABLE INITIALLY DEFERRED)")
    }

    private func notes() async throws -> Int { try await database.count("true", of: "notes") }

    @Test func `what a transaction did is there together afterwards`() async throws {
        try await prepare()
        let seen = try await database.pool.transaction { connection in
            try connection.execute("INSERT INTO notes VALUES (\(1)::int)")
            try connection.execute("INSERT INTO notes VALUES (\(2)::int)")
            return try connection.execute("SELECT count(*) AS n FROM notes").first?.decode("n", as: Int.self)
        }
        #expect(seen == 2)
        #expect(try await notes() == 2)
    }

    @Test func `an error undoes it all, and the session can be used again`() async throws {
        try await prepare()
        await #expect(throws: Stop.self) {
            try await database.pool.transaction { connection in
                try connection.execute("INSERT INTO notes VALUES (\(1)::int)")
                throw Stop()
            }
        }
        let refusal = try await TestDatabase.refusal {
            try await database.pool.transaction { connection in
                try connection.execute("INSERT INTO notes VALUES (\(1)::int)")
                try connection.execute("INSERT INTO notes VALUES (\(1)::int)")
            }
        }
        #expect(refusal == "23505")
        #expect(try await notes() == 0)
        #expect(database.pool.openCount == 1)
    }

    @Test func `a COMMIT the server refuses is reported`() async throws {
        try await prepare()
        let refusal = try await TestDatabase.refusal {
            try await database.pool.transaction { connection in
                try connection.execute("INSERT INTO notes VALUES (\(1)::int, \(99)::int)")
            }
        }
        #expect(refusal == "23503")
        #expect(try await notes() == 0)
    }

    @Test func `a task cancelled before the COMMIT leaves nothing behind`() async throws {
        try await prepare()
        let task = Task {
            try await database.pool.transaction { connection in
                try connection.execute("INSERT INTO notes VALUES (\(1)::int)")
                withUnsafeCurrentTask { $0?.cancel() }
            }
        }
        let error = await #expect(throws: PostgresError.self) { try await task.value }
        #expect(error?.reason == .cancelled)
        #expect(try await notes() == 0)
        let open: Int? = try await database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'")
        #expect(open == 0)
    }
}
