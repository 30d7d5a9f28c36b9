import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Behind PgBouncer in transaction mode: each transaction may meet another session of the server.
@Suite(.database(), .enabled(if: Pooler.program != nil, "PgBouncer is not installed")) struct PoolerTests {
    let database = TestDatabase.current

    private func settings(_ pooler: Pooler) -> ConnectionSettings {
        var settings = database.workerSettings
        settings.connectionString = pooler.connectionString(database: database.name)
        return settings
    }

    @Test func `two workers and other clients share two sessions, with prepared statements and tenants apart`()
        async throws
    {
        let pooler = try await Pooler(for: database.server, poolSize: 2)
        let ledger = Ledger()
        let settings = settings(pooler)
        try await database.withWorker(
            ledger.processor(), through: settings, listen: database.workerSettings,
            change: { $0.hasten(lease: .seconds(20)) }
        ) { first in
            try await database.withWorker(
                ledger.processor(), through: settings, listen: database.workerSettings,
                change: { $0.hasten(lease: .seconds(20)) }
            ) { second in
                try await eventually("both listen") {
                    first.state.snapshot.isListening && second.state.snapshot.isListening
                }
                let user = UUID()
                try await withThrowingTaskGroup(of: Void.self) { clients in
                    for client in 1...3 {
                        clients.addTask {
                            let pool = ConnectionPool(settings, limit: 1)
                            for round in 1...60 {
                                let sum: Int? = try await pool.query(
                                    "/* client */ SELECT \(client) * 1000 + \(round) AS sum"
                                ).first?.decode("sum")
                                #expect(sum == client * 1000 + round)
                                let tenant: String? = try await pool.transaction { connection in
                                    try connection.execute(
                                        "SELECT set_config('request.jwt.claims', \(user.text), true)")
                                    try connection.execute("SET LOCAL ROLE authenticated")
                                    return try connection.execute("SELECT current_user::text AS name").first?.decode(
                                        "name")
                                }
                                #expect(tenant == "authenticated")
                                let row = try await pool.query(
                                    """
                                    SELECT current_user::text AS name,
                                           coalesce(current_setting('request.jwt.claims', true), '') AS claims
                                    """
                                ).first
                                #expect(try row?.decode("name") == TestDatabase.workerRole)
                                #expect(try row?.decode("claims") == "")
                            }
                            await pool.close()
                        }
                    }
                    for _ in 1...20 { try await database.insertJobs(10) }
                    try await clients.waitForAll()
                }
                try await database.waitUntilQuiet()
                #expect(ledger.jobs == 200)
                #expect(ledger.repeated == 0)
                #expect(try await database.count("status = 'completed' AND attempts = 1") == 200)
                #expect(!first.state.snapshot.hasLostDatabase && !second.state.snapshot.hasLostDatabase)
            }
        }
        await pooler.stop()
    }

    @Test func `a worker that listens through it finds out, says what to set, and polls`() async throws {
        let pooler = try await Pooler(for: database.server, poolSize: 2)
        let daemon = try RunningDaemon(
            database: pooler.connectionString(database: database.name),
            environment: ["WORKER_POLL_INTERVAL_MS": "200", "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0"])
        try await daemon.waitUntilReady()
        try await eventually("its log says so") { daemon.log.contains("set WORKER_LISTEN_URL to a direct one") }
        let health = try await daemon.request("GET", "/health")
        #expect(health.status == 200)
        #expect(health.body.contains("LISTEN is down: new jobs are found by polling only."))
        #expect(health.body.contains("\"listening\":false"))
        try await database.insertJobs(20)
        try await database.waitUntilQuiet()
        #expect(try await database.count("status = 'completed' AND attempts = 1") == 20)
        daemon.send(.terminate)
        await daemon.stop()
        await pooler.stop()
    }

    @Test func `a worker that listens past it hears of jobs at once`() async throws {
        let pooler = try await Pooler(for: database.server, poolSize: 2)
        let ledger = Ledger()
        // The timer would come in five minutes.
        try await database.withWorker(
            ledger.processor(), through: settings(pooler), listen: database.workerSettings
        ) { worker in
            try await eventually("it listens") { worker.state.snapshot.isListening }
            for _ in 1...3 {
                try await database.insertJob("noop")
                try await database.waitUntilQuiet()
            }
            #expect(ledger.jobs == 3)
        }
        await pooler.stop()
    }
}
