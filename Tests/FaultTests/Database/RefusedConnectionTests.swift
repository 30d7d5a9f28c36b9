import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A server that doesn't let the worker in.
struct RefusedConnectionTests {
    @Test(.database()) func `too many connections keep a worker waiting, at the start and later, and end nothing`()
        async throws
    {
        let database = TestDatabase.current
        try await database.run("ALTER DATABASE \(database.name) CONNECTION LIMIT 0")
        let daemon = try RunningDaemon(
            database: database.server.connectionString(database: database.name, role: TestDatabase.workerRole),
            environment: ["WORKER_POLL_INTERVAL_MS": "100", "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0"])
        #expect(
            await daemon.notify.wait(within: .seconds(60)) {
                $0.hasPrefix("STATUS=Waiting for the database") && $0.contains("too many connections")
            } != nil)
        #expect(try await daemon.request("GET", "/readyz").status == 503)
        try await database.run("ALTER DATABASE \(database.name) CONNECTION LIMIT -1")
        try await daemon.waitUntilReady()

        try await database.run("ALTER DATABASE \(database.name) CONNECTION LIMIT 0")
        try await database.query(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND usename = \(TestDatabase.workerRole)
            """)
        #expect(
            await daemon.notify.wait(within: .seconds(60)) {
                $0.hasPrefix("STATUS=Database lost") && $0.contains("too many connections")
            } != nil)
        try await database.insertJobs(10)
        try await database.run("ALTER DATABASE \(database.name) CONNECTION LIMIT -1")
        try await database.waitUntilQuiet()
        #expect(try await database.count("status = 'completed' AND attempts = 1") == 10)
        daemon.send(.terminate)
        #expect(await daemon.ended() == 0)
        await daemon.stop()
    }

    @Test func `a certificate of a foreign authority and a changed password are named, and no secret is`() async throws
    {
        let directory = "/tmp/jobworker-tls-\(getpid())-\(String(UInt32.random(in: .min ... .max), radix: 36))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        for name in ["server", "foreign"] {
            let made = await runProgram([
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "\(directory)/\(name).key", "-out",
                "\(directory)/\(name).pem",
            ])
            try #require(made.status == 0, "\(made.output)")
        }
        _ = await asServerUser([], owning: directory)
        chmod(directory, 0o755)
        chmod("\(directory)/server.key", 0o600)
        try await TestDatabase.withServer({ options in
            options.listensOnTCP = true
            options.settings["ssl"] = "on"
            options.settings["ssl_cert_file"] = "\(directory)/server.pem"
            options.settings["ssl_key_file"] = "\(directory)/server.key"
        }) { database in
            try await database.run("ALTER ROLE \(TestDatabase.workerRole) PASSWORD 'canary-4711'")
            let port = try #require(database.server.tcpPort)
            func url(_ authority: String) -> String {
                "postgresql://\(TestDatabase.workerRole):canary-4711@127.0.0.1:\(port)/postgres"
                    + "?sslmode=verify-full&sslrootcert=\(directory)/\(authority).pem"
            }
            let distrustful = try RunningDaemon(database: url("foreign"))
            #expect(
                await distrustful.notify.wait(within: .seconds(60)) { $0.contains("certificate verify failed") } != nil)
            #expect(try await distrustful.request("GET", "/readyz").status == 503)
            distrustful.send(.terminate)
            #expect(await distrustful.ended() == 0)

            let daemon = try RunningDaemon(
                database: url("server"),
                environment: ["WORKER_POLL_INTERVAL_MS": "100", "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0"])
            try await daemon.waitUntilReady()
            #expect(
                try await database.count(
                    "ssl AND usename = '\(TestDatabase.workerRole)'",
                    of: "pg_stat_ssl JOIN pg_stat_activity USING (pid)") >= 1)
            try await database.run("ALTER ROLE \(TestDatabase.workerRole) PASSWORD 'canary-0815'")
            try await database.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = \(TestDatabase.workerRole)")
            #expect(
                await daemon.notify.wait(within: .seconds(60)) {
                    $0.hasPrefix("STATUS=Database lost") && $0.contains("password authentication failed")
                } != nil)
            #expect(try await daemon.request("GET", "/readyz").status == 503)
            try await database.run("ALTER ROLE \(TestDatabase.workerRole) PASSWORD 'canary-4711'")
            try await database.insertJobs(3)
            try await database.waitUntilQuiet()
            #expect(!distrustful.log.contains("canary") && !daemon.log.contains("canary"))
            await distrustful.stop()
            daemon.send(.terminate)
            await daemon.stop()
        }
    }
}
