import Development
import FoundationEssentials
import Glibc
import Support
import Testing

/// `jobworker run` as a process of its own: readiness, health, signals, settings.
@Suite(.database()) struct DaemonTests {
    let database = TestDatabase.current

    @Test func `it tells systemd that it is ready, what it does and that it stops`() async throws {
        let daemon = try await RunningDaemon.start(database)
        try await database.insertJob("sleep", payload: "{\"seconds\": 600}")
        let busy = await daemon.notify.wait(within: .seconds(20)) { $0.hasPrefix("STATUS=Working: 1 of 5 running") }
        #expect(busy != nil)
        daemon.send(.terminate)
        #expect(await daemon.notify.wait(within: .seconds(20)) { $0 == "STOPPING=1" } != nil)
        #expect(await daemon.notify.wait(within: .seconds(20)) { $0.hasPrefix("EXTEND_TIMEOUT_USEC=") } != nil)
        // The second signal doesn't wait for the job.
        daemon.send(.terminate)
        #expect(await daemon.ended() == 0)
        #expect(try await database.count("status = 'pending' AND attempts = 0 AND NOT lease_open") == 1)
        for line in daemon.log.split(separator: "\n") {
            #expect(line.contains("\"WORKER_ID\":\"\(daemon.workerID)\""), "\(line)")
        }
    }

    @Test func `it answers how it is, to anyone on its socket`() async throws {
        let daemon = try await RunningDaemon.start(database)
        #expect(try await daemon.request("GET", "/healthz").status == 200)
        #expect(try await daemon.request("GET", "/readyz").status == 200)
        let health = try await daemon.request("GET", "/health")
        #expect(health.status == 200)
        #expect(health.body.contains("\"worker_id\":\"\(daemon.workerID)\""))
        #expect(health.body.contains("\"connected\":true"))
        let probe = await runProgram([
            BuiltProgram.path("jobworker"), "health", "--socket", daemon.socketPath, "--strict",
        ])
        #expect(probe.status == 0)
        #expect(probe.output.hasPrefix("healthy: 0 of 5 running"))
        var details = stat()
        #expect(stat(daemon.socketPath, &details) == 0)
        #expect(details.st_mode & 0o777 == 0o660)
        await daemon.stop()
        #expect(access(daemon.socketPath, F_OK) != 0)
        let gone = await runProgram([BuiltProgram.path("jobworker"), "health", "--socket", daemon.socketPath])
        #expect(gone.status == 69)
    }

    @Test func `a look can be asked for with the operator's token alone`() async throws {
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_POLL_INTERVAL_MS": "300000"])
        #expect(try await daemon.request("POST", "/api/jobs/worker").status == 401)
        #expect(try await daemon.request("POST", "/api/jobs/worker", token: "wrong").body.contains("Unauthorized"))
        try await database.insertJob("noop")
        let report = try await daemon.request("POST", "/api/jobs/worker", token: RunningDaemon.token)
        #expect(report.status == 200)
        #expect(report.body.contains("\"success\":true"))
        #expect(report.body.contains("\"completed\":1"))
        #expect(try await database.count("status = 'completed'") == 1)
        await daemon.stop()
    }

    @Test func `every mistake in the settings is told at once, with status 78`() async throws {
        let result = await runProgram(
            [BuiltProgram.path("jobworker"), "run"],
            environment: [
                "WORKER_MAX_CONCURRENT": "0", "WORKER_QUEUES": "a,a", "WORKER_LOG_LEVEL": "loud",
                "WORKER_SECRET_TOKEN": "",
            ])
        #expect(result.status == 78)
        for name in ["WORKER_MAX_CONCURRENT", "WORKER_QUEUES", "WORKER_LOG_LEVEL", "WORKER_SECRET_TOKEN"] {
            #expect(result.output.contains(name))
        }
    }

    @Test func `a login that is no worker's is refused with what to do, and not started again`() async throws {
        let role = "outsider_\(database.name)"
        try await database.run("CREATE ROLE \(role) LOGIN")
        let daemon = try RunningDaemon(
            database: database.server.connectionString(database: database.name, role: role))
        // The unit's RestartPreventExitStatus.
        #expect(await daemon.ended() == 78)
        #expect(daemon.log.contains("GRANT jobworker TO \(role)"))
        try await database.run("DROP ROLE \(role)")
    }

    @Test func `a reload takes over what can change, and names what needs a restart`() async throws {
        let directory = "/tmp/jobworker-reload-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let file = directory + "/config.yaml"
        try "worker_max_concurrent: 2\n".write(toFile: file, atomically: true, encoding: .utf8)
        let daemon = try RunningDaemon(
            database: database.server.connectionString(database: database.name, role: TestDatabase.workerRole),
            directory: directory, arguments: ["--config", file])
        try await daemon.waitUntilReady()
        #expect(try await daemon.request("GET", "/health").body.contains("\"max_concurrent\":2"))
        try "worker_max_concurrent: 7\nworker_region: north\nworker_statsd: 127.0.0.1:8125\n".write(
            toFile: file, atomically: true, encoding: .utf8)
        kill(try await daemon.processID(in: database), SIGHUP)
        #expect(await daemon.notify.wait(within: .seconds(20)) { $0 == "RELOADING=1" } != nil)
        #expect(await daemon.notify.wait(within: .seconds(20)) { $0 == "READY=1" } != nil)
        #expect(try await daemon.request("GET", "/health").body.contains("\"max_concurrent\":7"))
        #expect(daemon.log.contains("\"SETTINGS\":\"WORKER_REGION, WORKER_STATSD\""))
        // A broken file changes nothing.
        try "worker_max_concurrent: many\n".write(toFile: file, atomically: true, encoding: .utf8)
        kill(try await daemon.processID(in: database), SIGHUP)
        #expect(await daemon.notify.wait(within: .seconds(20)) { $0 == "READY=1" } != nil)
        #expect(try await daemon.request("GET", "/health").body.contains("\"max_concurrent\":7"))
        #expect(daemon.log.contains("the old ones stay in force"))
        await daemon.stop()
    }

    @Test func `a killed worker's successor takes its job back at once`() async throws {
        let first = try await RunningDaemon.start(database)
        let id = try await database.insertJob("sleep", payload: "{\"seconds\": 600}")
        try await database.waitUntil("status = 'processing'")
        kill(try await first.processID(in: database), SIGKILL)
        _ = await first.ended()
        let second = try await RunningDaemon.start(database, directory: first.directory)
        try await database.waitUntil("status = 'pending' AND attempts = 1 AND worker_deaths = 1")
        #expect(try await database.job(id).errorMessage?.contains(first.workerID) == true)
        await second.stop()
    }

    @Test func `while the database is away it stays up, and says so`() async throws {
        let daemon = try RunningDaemon(database: "host=/nonexistent dbname=none")
        let waits = await daemon.notify.wait(within: .seconds(20)) { $0.hasPrefix("STATUS=Waiting for the database") }
        #expect(waits != nil)
        #expect(await daemon.notify.wait(within: .seconds(20)) { $0.hasPrefix("EXTEND_TIMEOUT_USEC=") } != nil)
        #expect(try await daemon.request("GET", "/healthz").status == 200)
        #expect(try await daemon.request("GET", "/readyz").status == 503)
        #expect(try await daemon.request("GET", "/health").status == 503)
        daemon.send(.terminate)
        #expect(await daemon.ended() == 0)
    }

    @Test(.enabled(if: geteuid() != 0, "root's processes belong to root anyway"))
    func `its memory can't be read by others of the same user`() async throws {
        let daemon = try await RunningDaemon.start(database)
        var details = stat()
        // What isn't dumpable belongs to root in /proc, or isn't seen at all where a unit hides what is others' (proc(5)).
        let isSeen = stat("/proc/\(try await daemon.processID(in: database))/mem", &details) == 0
        #expect(isSeen ? details.st_uid == 0 : errno == ENOENT)
        await daemon.stop()
    }

    @Test func `a plain insert by psql is run`() async throws {
        let daemon = try await RunningDaemon.start(database)
        let (status, output) = await runProgram([
            "psql", "-qtAX", "-d",
            database.server.connectionString(database: database.name), "-c",
            "INSERT INTO jobs (workspace_id, job_type, payload) VALUES ('\(TestDatabase.workspace)', 'noop', '{}')",
        ])
        #expect(status == 0, "\(output)")
        try await database.waitUntil("status = 'completed'")
        await daemon.stop()
    }
}
