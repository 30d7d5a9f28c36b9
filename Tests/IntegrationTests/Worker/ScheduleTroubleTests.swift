import FoundationEssentials
import JobWorker
import Logging
import Postgres
import Support
import Synchronization
import Testing

/// One schedule's trouble is no other's: in a worker that looks by itself only every five minutes.
@Suite(.database()) struct ScheduleTroubleTests {
    let database = TestDatabase.current

    private func insert(
        _ name: String, next: String = "now()", queue: String = "default", zone: String = "UTC"
    ) async throws {
        try await database.run(
            """
            INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds, next_run_at, job_queue, timezone)
            VALUES ('\(TestDatabase.workspace.text)', '\(name)', 'noop', 3600, \(next), '\(queue)', '\(zone)')
            """)
    }

    private func waitUntil(_ condition: String) async throws {
        try await database.waitUntil(condition, of: "public.job_schedules", atMost: .seconds(60))
    }

    private func schedules(_ condition: String) async throws -> Int {
        try await database.count(condition, of: "public.job_schedules")
    }

    @Test func `a job that takes too long to insert holds up no other schedule's, and says so`() async throws {
        try await database.run(
            """
            CREATE FUNCTION public.dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM pg_sleep(60);
                RETURN NEW;
            END $$;
            CREATE TRIGGER dawdle BEFORE INSERT ON public.jobs FOR EACH ROW WHEN (NEW.job_queue = 'slow')
            EXECUTE FUNCTION public.dawdle();
            """)
        try await insert("slow", next: "now() - interval '1 s'", queue: "slow")
        try await insert("quick")
        var settings = database.workerSettings
        settings.statementTimeout = .milliseconds(1500)
        let log = Log()
        try await database.withWorker(ScriptedProcessor("noop"), through: settings, logger: log.logger) { _ in
            try await waitUntil("name = 'quick' AND next_run_at > now()")
            try await eventually("the log tells") {
                log.all.contains { $0.contains("2c5e91bc") && $0.contains("slow") }
            }
        }
        #expect(try await schedules("name = 'slow' AND next_run_at < now() AND last_run_at IS NULL") == 1)
    }

    @Test func `a schedule that can't even be written stops no other, and is tried again`() async throws {
        try await database.run(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'not this one';
            END $$;
            CREATE TRIGGER refuse BEFORE UPDATE ON public.job_schedules FOR EACH ROW WHEN (NEW.name = 'bad')
            EXECUTE FUNCTION public.refuse();
            """)
        try await insert("bad", next: "now() - interval '1 s'")
        try await insert("good")
        let log = Log()
        try await database.withWorker(ScriptedProcessor("noop"), logger: log.logger) { _ in
            try await waitUntil("name = 'good' AND next_run_at > now()")
            try await eventually("the log tells") { log.all.contains { $0.contains("2c5e91bc") && $0.contains("bad") } }
            #expect(try await schedules("name = 'bad' AND next_run_at < now()") == 1)
            try await database.run("DROP TRIGGER refuse ON public.job_schedules")
            try await waitUntil("name = 'bad' AND next_run_at > now()")
        }
        #expect(try await database.count("true") == 2)
    }

    @Test func `a schedule that somebody holds at its time ticks soon after it is let go`() async throws {
        try await insert("held")
        let holder = try await Connection.open(database.settings)
        try await holder.runScript("BEGIN; SELECT FROM public.job_schedules FOR UPDATE")
        try await database.withWorker(ScriptedProcessor("noop")) { _ in
            // Due later than the held one, so that the worker has met that by then.
            try await insert("free")
            try await waitUntil("name = 'free' AND next_run_at > now()")
            #expect(try await schedules("name = 'held' AND next_run_at < now()") == 1)
            await holder.close()
            try await waitUntil("name = 'held' AND next_run_at > now()")
        }
        #expect(try await database.count("true") == 2)
    }

    @Test func `a machine that lacks a time zone leaves the schedule to others, and tells once`() async throws {
        try await database.run("ALTER TABLE public.job_schedules DISABLE TRIGGER job_schedules_insert")
        try await insert("far", next: "now() - interval '1 s'", zone: "Mars/Olympus")
        try await insert("new", next: "NULL", zone: "Mars/Olympus")
        try await database.run("ALTER TABLE public.job_schedules ENABLE TRIGGER job_schedules_insert")
        let versions =
            "SELECT string_agg(xmin::text, ' ' ORDER BY name) FROM public.job_schedules WHERE name IN ('far', 'new')"
        let before: String? = try await database.value(Statement(stringLiteral: versions))
        let log = Log()
        try await database.withWorker(
            ScriptedProcessor("noop"), change: { $0.pollInterval = .milliseconds(100) }, logger: log.logger
        ) { _ in
            for round in 1...3 {
                try await insert("near \(round)")
                try await waitUntil("name = 'near \(round)' AND next_run_at > now()")
            }
        }
        #expect(try await database.value(Statement(stringLiteral: versions)) == before)
        for name in ["far", "new"] {
            #expect(log.all.filter { $0.contains("98293bdd") && $0.contains(name) }.count == 1)
        }
    }
}

/// The lines of a worker's log, with their metadata.
private final class Log: Sendable {
    private struct Handler: LogHandler {
        let log: Log
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
        }
    }

    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }
    var logger: Logger { Logger(label: "test", factory: { _ in Handler(log: self) }) }
}
