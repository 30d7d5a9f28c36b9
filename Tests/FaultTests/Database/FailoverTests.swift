import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A primary and its standby.
struct FailoverTests {
    @Test func `a worker never begins on a standby, and follows when that becomes the primary`() async throws {
        try await TestDatabase.withServer { database in
            let standby = try await makeStandby(of: database.server)
            let daemon = try RunningDaemon(
                database: standby.connectionString(role: TestDatabase.workerRole),
                environment: ["WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0"])
            #expect(
                await daemon.notify.wait(within: .seconds(60)) { $0.contains("this server takes no changes") } != nil)
            #expect(try await daemon.request("GET", "/readyz").status == 503)
            #expect(try await database.count("true", of: "public.job_workers") == 0)

            let ledger = Ledger()
            var both = database.workerSettings
            let hosts = [database.server, standby].map(\.socketDirectory).joined(separator: ",")
            both.connectionString =
                "postgresql://\(TestDatabase.workerRole)@/postgres?host=\(hosts)&port=5432,5432&target_session_attrs=read-write"
            try await database.withWorker(
                ledger.processor("failover"), through: both, change: { $0.hasten(lease: .seconds(10)) }
            ) { worker in
                try await database.insertJobs(50, type: "failover")
                try await database.waitUntilQuiet()
                try await database.waitUntil(
                    "replay_lsn >= pg_current_wal_flush_lsn()", of: "pg_stat_replication")
                await database.pool.closeIdle()
                await database.server.stop(.fast)
                try await eventually("it knows") { !worker.state.snapshot.isConnected }
                let successor = ConnectionPool(
                    ConnectionSettings(connectionString: standby.connectionString(), applicationName: "test"), limit: 1)
                try await successor.query("SELECT pg_promote()")
                try await successor.query(
                    """
                    INSERT INTO public.jobs (workspace_id, job_type, payload)
                    SELECT \(TestDatabase.workspace), 'failover', '{}' FROM generate_series(1, 50)
                    """)
                try await eventually("it goes on there") {
                    try await successor.query("SELECT count(*) AS left FROM public.jobs WHERE status <> 'completed'")
                        .first?.decode("left") == 0
                }
                #expect(ledger.jobs == 100)
                #expect(ledger.repeated == 0)
                // The one that waited at the standby is at work now as well.
                try await daemon.waitUntilReady()
                await successor.close()
                worker.hurry()
            }
            daemon.send(.terminate)
            await daemon.stop()
            await standby.stop(.immediate)
        }
    }

    /// The server's own programs may be links to where all of them are.
    private func program(_ name: String, beside server: PrivatePostgres) throws -> String {
        guard let path = realpath(server.binaries.path(of: "postgres"), nil) else {
            throw DevelopmentError("no server program: \(String(cString: strerror(errno)))")
        }
        defer { free(path) }
        return String(cString: path).split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
    }

    private func makeStandby(of primary: PrivatePostgres) async throws -> PrivatePostgres {
        let directory = "/tmp/jobworker-standby-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let (status, output) = await runProgram(
            await asServerUser(
                [
                    try program("pg_basebackup", beside: primary), "-D", "\(directory)/data", "-h",
                    primary.socketDirectory,
                    "-U", "postgres", "-R", "-X", "stream", "-c", "fast",
                ], owning: directory))
        guard status == 0 else { throw DevelopmentError("pg_basebackup: \(output)") }
        var options = PrivatePostgres.Options()
        options.isDurable = false
        options.isTemporary = true
        options.settings = ["shared_buffers": "32MB", "log_min_messages": "fatal"]
        return try await PrivatePostgres.start(in: directory, options: options)
    }
}
