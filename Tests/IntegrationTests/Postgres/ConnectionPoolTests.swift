import Postgres
import Support
import Testing

@Suite(.database(.nothing)) struct ConnectionPoolTests {
    let database = TestDatabase.current

    @Test func `a pool opens no more sessions than its limit, and all calls are served`() async throws {
        let pool = ConnectionPool(database.settings, limit: 3)
        let processes = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    let rows = try await pool.query("SELECT pg_backend_pid()::int8 AS pid, pg_sleep(0.002)")
                    return try rows.first?.decode("pid") ?? 0
                }
            }
            return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(processes.count <= 3 && pool.openCount <= 3)
        await pool.close()
    }

    @Test func `a call that waits for a session can be cancelled, and the next in line isn't lost`() async throws {
        let pool = ConnectionPool(database.settings, limit: 1)
        let patient = try await pool.withConnection { _ in
            let cancelled = Task { try await pool.query("SELECT 1") }
            while pool.waitingCount < 1 { await Task.yield() }
            let patient = Task { try await pool.query("SELECT 2 AS n") }
            while pool.waitingCount < 2 { await Task.yield() }
            cancelled.cancel()
            let error = await #expect(throws: PostgresError.self) { try await cancelled.value }
            #expect(error?.reason == .cancelled)
            return patient
        }
        #expect(try await patient.value.first?.decode("n") == 2)
        #expect(try await pool.query("SELECT 3 AS n").first?.decode("n") == 3)
        #expect(pool.openCount == 1)
        await pool.close()
    }

    @Test func `waiting calls are served in the order in which they came`() async throws {
        let pool = ConnectionPool(database.settings, limit: 1)
        let (order, report) = AsyncStream<Int>.makeStream()
        try await withThrowingTaskGroup { group in
            try await pool.withConnection { _ in
                for number in 0..<5 {
                    group.addTask { try await pool.withConnection { _ in _ = report.yield(number) } }
                    while pool.waitingCount <= number { await Task.yield() }
                }
            }
            try await group.waitForAll()
        }
        report.finish()
        #expect(await order.reduce(into: []) { $0.append($1) } == Array(0..<5))
        await pool.close()
    }

    @Test func `a session the server ended is lost for its call, and the pool opens another`() async throws {
        let pool = ConnectionPool(database.settings, limit: 1)
        let process: Int = try await pool.query("SELECT pg_backend_pid()::int8 AS pid").first?.decode("pid") ?? 0
        let task = Task { try await pool.query("/* victim */ SELECT pg_sleep(\(3600.0))") }
        while try await database.value(
            "SELECT state FROM pg_stat_activity WHERE pid = \(process)::int AND query LIKE '%victim%'") != "active"
        { await Task.yield() }
        try await database.query("SELECT pg_terminate_backend(\(process)::int)")
        let error = await #expect(throws: PostgresError.self) { try await task.value }
        #expect(error?.reason == .connectionLost && error?.operation == "victim")
        #expect(pool.openCount == 0)
        #expect(try await pool.query("SELECT 1 AS n").first?.decode("n") == 1)
        await pool.close()
    }

    @Test func `an idle session the server ended costs one call`() async throws {
        let pool = ConnectionPool(database.settings, limit: 1)
        let process: Int = try await pool.query("SELECT pg_backend_pid()::int8 AS pid").first?.decode("pid") ?? 0
        try await database.query("SELECT pg_terminate_backend(\(process)::int, 5000)")
        let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
        #expect(error?.reason == .connectionLost)
        #expect(try await pool.query("SELECT 1 AS n").first?.decode("n") == 1)
        await pool.close()
    }

    @Test func `idle sessions can be closed, and open again on demand`() async throws {
        let pool = ConnectionPool(database.settings, limit: 4)
        try await pool.query("SELECT 1")
        #expect(pool.openCount == 1)
        await pool.closeIdle()
        #expect(pool.openCount == 0)
        #expect(try await pool.query("SELECT 1 AS n").first?.decode("n") == 1)
        await pool.close()
    }

    @Test func `a closed pool refuses calls, waiting ones too`() async throws {
        let pool = ConnectionPool(database.settings, limit: 1)
        let waiting = try await pool.withConnection { _ in
            let waiting = Task { try await pool.query("SELECT 1") }
            while pool.waitingCount == 0 { await Task.yield() }
            await pool.close()
            return waiting
        }
        let early = await #expect(throws: PostgresError.self) { try await waiting.value }
        let late = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
        #expect(early?.reason == .unreachable && late?.reason == .unreachable)
        #expect(pool.openCount == 0)
    }

    @Test func `when a session can't be opened its place is free again`() async throws {
        let pool = ConnectionPool(database.settings(database: "no_such_database"), limit: 1)
        for _ in 0..<3 {
            let error = await #expect(throws: PostgresError.self) { try await pool.query("SELECT 1") }
            #expect(error?.reason == .unreachable)
        }
        #expect(pool.openCount == 0)
    }
}
