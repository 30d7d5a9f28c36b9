import Development
import FoundationEssentials
import JobWorker
import Logging
import Postgres
import Support
import Testing

/// Jobs of workers that died, and workers that must not begin.
@Suite(.database()) struct TakingBackTests {
    let database = TestDatabase.current

    @Test func `a job whose worker fell silent is taken back, its attempt counted`() async throws {
        let id = try await database.insertJob("noop", status: .processing, attempts: 2, heartbeatAge: .seconds(300))
        try await database.withWorker(
            ScriptedProcessor("noop"),
            change: {
                $0.pollInterval = .milliseconds(50)
                $0.heartbeatInterval = .milliseconds(50)
                $0.staleAfter = .seconds(1)
            }
        ) { _ in
            try await database.waitUntil("status = 'pending'")
        }
        let job = try await database.job(id)
        #expect(job.attempts == 2)
        #expect(job.workerDeaths == 1)
        #expect((115...133).contains(try #require(job.retryIn)))
        #expect(job.errorMessage?.contains("stopped answering") == true)
    }

    @Test func `a job on its last attempt fails when its worker dies`() async throws {
        let id = try await database.insertJob("noop", status: .processing, attempts: 5, heartbeatAge: .seconds(300))
        try await database.withWorker(
            ScriptedProcessor("noop"),
            change: {
                $0.pollInterval = .milliseconds(50)
                $0.heartbeatInterval = .milliseconds(50)
                $0.staleAfter = .seconds(1)
            }
        ) { _ in
            try await database.waitUntil("status = 'failed'")
        }
        #expect(try await database.job(id).attempts == 5)
    }

    @Test func `a successor that holds the instance's lock takes its jobs back at once`() async throws {
        try await database.query(
            """
            INSERT INTO public.job_workers (id, instance, host, machine_id) VALUES
                ('dead', 'one', 'test', 'machine'), ('elsewhere', 'one', 'test', 'other machine')
            """)
        let own = try await database.insertJob("noop", status: .processing, workerID: "dead")
        let foreign = try await database.insertJob("noop", status: .processing, workerID: "elsewhere")
        try await database.withWorker(
            ScriptedProcessor("noop"),
            change: {
                $0.instance = "one"
                $0.machineID = "machine"
                $0.holdsInstanceLock = true
            }
        ) { _ in
            try await database.waitUntil("status = 'pending'")
        }
        #expect(try await database.job(own).status == "pending")
        #expect(try await database.job(own).workerDeaths == 1)
        #expect(try await database.job(foreign).status == "processing")
    }

    @Test func `a twin without the lock takes nothing back`() async throws {
        try await database.query(
            "INSERT INTO public.job_workers (id, instance, host, machine_id) VALUES ('first', 'one', 'test', 'machine')"
        )
        let id = try await database.insertJob("noop", status: .processing, workerID: "first")
        try await database.withWorker(
            ScriptedProcessor("noop"),
            change: {
                $0.instance = "one"
                $0.machineID = "machine"
            }
        ) { worker in
            _ = await worker.state.transitions.first { _ in worker.state.snapshot.phase == .working }
            _ = await worker.pollNow(waitingAtMost: .zero)
        }
        #expect(try await database.job(id).status == "processing")
    }

    @Test func `one suspect runs at a time`() async throws {
        let most = Counter<String>()
        let database = database
        for _ in 0..<6 { try await database.insertJob("suspect", workerDeaths: 1) }
        let suspect = ScriptedProcessor("suspect") { _, _ in
            most.add(try await database.count("status = 'processing'") > 1 ? "together" : "alone")
            return nil
        }
        try await database.withWorker(suspect) { _ in try await database.waitUntilQuiet() }
        #expect(most.all == ["alone": 6])
        #expect(try await database.count("worker_deaths = 0") == 6)
    }

    @Test func `a database that is newer than the program is refused`() async throws {
        try await database.query(
            "INSERT INTO public.jobworker_migrations (version, name, checksum) VALUES (999, 'later', 'x')")
        let worker = try database.makeWorker([ScriptedProcessor("noop")])
        await #expect(throws: WorkerRefusal.self) { try await worker.run() }
    }

    @Test func `a role that row security blinds is refused with what to do`() async throws {
        try await database.run(
            """
            CREATE ROLE blind_\(database.name) LOGIN;
            GRANT USAGE ON SCHEMA jobworker TO blind_\(database.name);
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO blind_\(database.name);
            """)
        var settings = database.settings
        settings.connectionString = database.server.connectionString(
            database: database.name, role: "blind_\(database.name)")
        let store = JobStore(pool: ConnectionPool(settings, limit: 1))
        let problem = try #require(try await store.accessProblem())
        #expect(problem.contains("GRANT jobworker TO blind_\(database.name)"))
        #expect(try await database.store().accessProblem() == nil)
        await store.pool.close()
        try await database.run("DROP OWNED BY blind_\(database.name); DROP ROLE blind_\(database.name)")
    }

    @Test func `a type that can't be served is left alone, and the worker says why`() async throws {
        let id = try await database.insertJob("enrich_account")
        try await database.withWorker(
            ScriptedProcessor("noop"), ScriptedProcessor("enrich_account"),
            check: { ["enrich_account": "a column is missing"] }
        ) { worker in
            try await database.insertJob()
            try await database.waitUntil("job_type = 'noop' AND status = 'completed'")
            #expect(worker.state.snapshot.unservedTypes == ["enrich_account": "a column is missing"])
        }
        #expect(try await database.job(id).status == "pending")
    }
}

/// A worker that comes before the schema.
@Suite(.database(.nothing)) struct MissingSchemaTests {
    let database = TestDatabase.current

    @Test func `a worker without a schema waits, and works once it is there`() async throws {
        let worker = try {
            var configuration = WorkerConfiguration(workerID: "early")
            configuration.pollInterval = .milliseconds(50)
            var registry = ProcessorRegistry()
            try registry.register(ScriptedProcessor("noop"))
            return JobWorker::JobWorker(
                configuration: configuration, pool: ConnectionPool(database.settings, limit: 2), processors: registry,
                logger: .init(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        }()
        let running = Task { try await worker.run() }
        _ = await worker.state.transitions.first { _ in worker.state.snapshot.phase == .awaitingMigration }
        _ = try await Migrator(settings: database.settings).migrate()
        _ = await worker.state.transitions.first { _ in worker.state.snapshot.phase == .working }
        worker.stop()
        try await running.value
    }
}
