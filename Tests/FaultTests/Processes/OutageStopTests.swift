import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// A worker whose database goes away, on a server of its own.
extension ProcessFaults {
    @Suite struct OutageStopTests {
        /// A server that the test may stop, with the schema and one job.
        private func ownServer(
            isDurable: Bool, job: String, payload: String
        ) async throws -> (server: PrivatePostgres, settings: ConnectionSettings) {
            var options = PrivatePostgres.Options()
            options.isDurable = isDurable
            options.isTemporary = true
            let server = try await PrivatePostgres.start(
                in: "/tmp/jobworker-outage-\(getpid())-\(UInt32.random(in: .min ... .max))", options: options)
            let settings = ConnectionSettings(connectionString: server.connectionString(), applicationName: "test")
            _ = try await Migrator(settings: settings).migrate()
            let connection = try await Connection.open(settings)
            let workspace = TestDatabase.workspace.text
            try await connection.runScript(
                """
                INSERT INTO public.workspaces (id, name, slug) VALUES ('\(workspace)', 'Test', 'test');
                INSERT INTO public.jobs (workspace_id, job_type, payload) VALUES ('\(workspace)', '\(job)', '\(payload)');
                """)
            await connection.close()
            return (server, settings)
        }

        @Test func `a worker that is stopped while its database is down ends, and says why`() async throws {
            let (server, settings) = try await ownServer(isDurable: false, job: "sleep", payload: #"{"seconds": 600}"#)
            let worker = try RunningDaemon(
                database: server.connectionString(),
                environment: ["WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1", "WATCHDOG_USEC": "1000000"])
            try await worker.waitUntilReady()
            #expect(
                await worker.notify.wait(within: .seconds(60)) { $0.hasPrefix("STATUS=Working: 1 of 5 running") } != nil
            )
            try await server.restart(.immediate) {
                #expect(
                    await worker.notify.wait(within: .seconds(60)) { $0.hasPrefix("STATUS=Database lost") } != nil)
                // Without its database it lives all the same.
                for _ in 0..<3 {
                    #expect(await worker.notify.wait(within: .seconds(60)) { $0 == "WATCHDOG=1" } != nil)
                }
                try await worker.signal(SIGTERM)
                #expect(await worker.ended() == 0)
                #expect(worker.lastLogLine.contains("worker stopped") && worker.lastLogLine.contains("SIGTERM"))
                #expect(worker.log.contains("the job will be taken back"))
            }
            // The successor takes the job back, the attempt counted.
            let successor = try RunningDaemon(
                database: server.connectionString(), directory: worker.directory,
                environment: ["WORKER_QUEUES": "another"])
            try await successor.logs("took back the jobs that an earlier process of this instance was running")
            let look = try await Connection.open(settings)
            let rows = try await look.query("SELECT status, attempts FROM public.jobs")
            #expect(try rows.first?.decode("status", as: String.self) == "pending")
            #expect(try rows.first?.decode("attempts", as: Int.self) == 1)
            await look.close()
            try await successor.stopAtOnce()
            await server.stop(.immediate)
        }

        @Test func `an outcome waits for a database that is down, and is stored once it is back`() async throws {
            let (server, settings) = try await ownServer(isDurable: true, job: "gated", payload: #"{}"#)
            let (started, release) = (Gate(), Gate())
            let runs = Counter<String>()
            var registry = ProcessorRegistry()
            try registry.register(
                ScriptedProcessor("gated") { _, _ in
                    runs.add("started")
                    started.open()
                    await release.passed()
                    return JSONText("\"kept\"")
                })
            let worker = JobWorker::JobWorker(
                configuration: WorkerConfiguration(workerID: "patient"), pool: ConnectionPool(settings, limit: 2),
                processors: registry, logger: .silent)
            let running = Task { try await worker.run() }
            try await started.opened()
            try await server.restart(.immediate) { release.open() }
            for await _ in worker.state.transitions where worker.state.snapshot.isConnected { break }
            let deadline = ContinuousClock.now + .seconds(60)
            while worker.state.snapshot.counts.completed == 0, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(20))
            }
            worker.stop()
            try await running.value
            let look = try await Connection.open(settings)
            let row = try await look.query("SELECT status, attempts, result::text AS result FROM public.jobs").first
            #expect(try row?.decode("status", as: String.self) == "completed")
            #expect(try row?.decode("attempts", as: Int.self) == 1)
            #expect(try row?.decode("result", as: String.self) == "\"kept\"")
            #expect(runs["started"] == 1)
            await look.close()
            await server.stop(.immediate)
        }
    }
}
