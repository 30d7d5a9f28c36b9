import Postgres
import Support
import Testing

@Suite(.database(.nothing)) struct StatementFailureTests {
    let database = TestDatabase.current

    private func error(_ statement: Statement) async -> PostgresError? {
        await #expect(throws: PostgresError.self) { try await database.query(statement) }
    }

    @Test func `a refusal brings code, sentence, detail and constraint`() async throws {
        try await database.run("CREATE TABLE people (id int CONSTRAINT people_once PRIMARY KEY)")
        try await database.query("INSERT INTO people VALUES (\(7)::int)")
        let error = await error("/* people:add */ INSERT INTO people VALUES (\(7)::int)")
        #expect(error?.sqlState == "23505" && error?.constraint == "people_once" && error?.operation == "people:add")
        #expect(error?.message == "duplicate key value violates unique constraint \"people_once\"")
        #expect(error?.detail == "Key (id)=(7) already exists.")
        #expect(error?.description.contains("(7)") == false)
    }

    @Test func `a hint is kept`() async {
        let error = await error("SELECT lenth(\("x"))")
        #expect(error?.sqlState == "42883" && error?.hint?.contains("explicit type casts") == true)
    }

    @Test func `after a refusal the session goes on`() async throws {
        #expect(await error("SELECT 1/\(0)")?.sqlState == "22012")
        #expect(try await database.value("SELECT 1/\(1)") == 1)
        #expect(database.pool.openCount == 1)
    }

    @Test func `a statement that takes too long ends with 57014`() async throws {
        var settings = database.settings
        settings.statementTimeout = .milliseconds(50)
        let pool = ConnectionPool(settings, limit: 1)
        let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT pg_sleep(60)") }
        #expect(error?.sqlState == "57014" && error?.isTransient == true)
        await pool.close()
    }

    @Test func `a statement that waits too long for a lock ends with 55P03`() async throws {
        try await database.run("CREATE TABLE locked (n int)")
        var settings = database.settings
        settings.lockTimeout = .milliseconds(50)
        let pool = ConnectionPool(settings, limit: 1)
        try await database.pool.withConnection { holder in
            try await holder.runScript("BEGIN; LOCK TABLE locked")
            let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT n FROM locked") }
            #expect(error?.sqlState == "55P03" && error?.isTransient == true)
            try await holder.runScript("ROLLBACK")
        }
        await pool.close()
    }

    @Test func `a database that isn't there can't be reached, in words`() async {
        let settings = database.settings(database: "no_such_database")
        let error = await #expect(throws: PostgresError.self) { try await Connection.open(settings) }
        #expect(error?.reason == .unreachable && error?.message.contains("no_such_database") == true)
    }

    @Test func `nothing listens: unreachable`() async {
        let settings = ConnectionSettings(connectionString: "host=/no/such/folder", applicationName: "test")
        let error = await #expect(throws: PostgresError.self) { try await Connection.open(settings) }
        #expect(error?.reason == .unreachable && error?.isTransient == true)
    }

    @Test func `when the tables changed under a prepared statement it is prepared anew`() async throws {
        try await database.run("CREATE TABLE changing (a int); INSERT INTO changing VALUES (1)")
        try await database.pool.withConnection { connection in
            let before = try await connection.query("SELECT * FROM changing WHERE a = \(1)")
            #expect(before.first?.texts.count == 1)
            try await database.run("ALTER TABLE changing ADD COLUMN b text DEFAULT 'new'")
            let after = try await connection.query("SELECT * FROM changing WHERE a = \(1)")
            #expect(try after.first?.decode("b") == "new")
        }
    }

    @Test func `a prepared statement the server has forgotten is prepared anew`() async throws {
        try await database.pool.withConnection { connection in
            _ = try await connection.query("SELECT \(1) AS n")
            try await connection.runScript("DEALLOCATE ALL")
            #expect(try await connection.query("SELECT \(2) AS n").first?.decode("n") == 2)
        }
    }
}
