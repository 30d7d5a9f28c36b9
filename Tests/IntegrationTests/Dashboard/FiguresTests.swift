import API
import ControlPlane
import FoundationEssentials
import JobWorker
import Logging
import Postgres
import Support
import Testing

@testable import Dashboard

/// What the overview shows, from the database.
@Suite(.database(), .timeLimit(.minutes(5))) struct FiguresTests {
    let database = TestDatabase.current

    private var api: APIDatabase { APIDatabase(database.workerSettings, logger: .silent) }

    private let operatorCaller = Caller.operator(name: "test")

    @Test func `a worker that stops has stored what ran, once for the minute and once for the quarter of an hour`()
        async throws
    {
        for _ in 0..<3 { _ = try await database.insertJob() }
        try await database.withWorker(Noop()) { _ in
            try await database.waitUntilQuiet()
        }
        let rows = try await database.query(
            "SELECT span, completed, failed, (SELECT sum(n)::int FROM unnest(waits) AS n) AS waits FROM jobworker.run_figures ORDER BY span"
        )
        #expect(try rows.map { try $0.decode("span", as: Int.self) } == [60, 900])
        for row in rows {
            #expect(try row.decode("completed", as: Int.self) == 3)
            #expect(try row.decode("waits", as: Int.self) == 3)
        }
        let figures = try await RunFigures.read(api, as: operatorCaller, .all, .init())
        #expect(figures.total.completed == 3 && figures.columns.reduce(0) { $0 + $1.ended } == 3)
        #expect(figures.kinds[.init(queue: "default", type: "noop")]?.completed == 3)
        #expect(figures.total.run(0.5) != nil)
    }

    @Test func `sums of several workers add up, and what is too old goes`() async throws {
        try await database.run(
            """
            INSERT INTO jobworker.run_figures VALUES
                (60, now() - interval '4 hours', 'q', 't', 1, 0, 0, '{}', '{}'),
                (900, now() - interval '4 hours', 'q', 't', 1, 0, 0, '{}', '{}'),
                (900, now() - interval '9 days', 'q', 't', 1, 0, 0, '{}', '{}')
            """)
        var sums = RunTally.Sums()
        sums.completed = 2
        sums.waits[3] = 2
        let store = JobStore(pool: ConnectionPool(database.workerSettings, limit: 1))
        for _ in 0..<2 { try await store.addFigures([.init(queue: "q", type: "t"): sums]) }
        #expect(try await database.count("starts_at < now() - interval '1 hour'", of: "jobworker.run_figures") == 1)
        let figures = try await RunFigures.read(api, as: operatorCaller, .all, .init())
        #expect(figures.total.completed == 4)
        let other = try await RunFigures.read(
            api, as: operatorCaller, .all, .init(range: .hour, type: "other", queue: nil))
        #expect(other.total.completed == 0 && other.kinds.count == 1)
    }

    private func fill() async throws {
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, priority, attempts, job_queue, created_at,
                                     scheduled_for, started_at, completed_at, failed_at, error_message)
            SELECT \(TestDatabase.workspace), 'type_' || n % 3, '{}',
                   CASE WHEN n % 20 = 0 THEN 'pending' WHEN n % 20 = 1 THEN 'failed' ELSE 'completed' END, n % 3, 0,
                   CASE WHEN n % 4 = 0 THEN 'mail' ELSE 'default' END, now() - n * interval '100 ms',
                   CASE WHEN n % 40 = 0 THEN now() + interval '1 day' END, now() - n * interval '100 ms',
                   CASE WHEN n % 20 > 1 THEN now() - n * interval '100 ms' + interval '1 s' END,
                   CASE WHEN n % 20 = 1 THEN now() - n * interval '100 ms' END, CASE WHEN n % 20 = 1 THEN 'no ' || n % 2 END
            FROM generate_series(1, 20000) AS n
            """)
        try await database.run("ANALYZE public.jobs")
    }

    @Test func `what waits is counted by queue, and what is due is told from what is to start later`() async throws {
        try await fill()
        let figures = try await OverviewFigures.read(api, as: operatorCaller, .all)
        #expect(figures.counts["pending"] == 1000 && figures.dueNow == 500)
        #expect(figures.queues["mail"]?.waiting == 1000 && figures.queues["default"] == nil)
        #expect(figures.counts["failed"] == 1000)
        let age = try #require(figures.oldestDue)
        #expect(age > 1990 && age < 2100)
        let mine = try await OverviewFigures.read(api, as: operatorCaller, .workspaces([TestDatabase.workspace]))
        #expect(mine.isSample && mine.counts["failed"] == 1000 && (mine.counts["pending"] ?? 0) == 250)
        let groups = try await NewestErrorGroups.read(api, as: operatorCaller, .all)
        #expect(groups.reduce(0) { $0 + $1.count } == 1000)
        let runs = try await RunFigures.read(api, as: operatorCaller, .workspaces([TestDatabase.workspace]), .init())
        #expect(runs.isSample && runs.total.ended > 4000 && runs.kinds.count == 6)
    }

    /// How often the whole table of jobs was read, as the server counts it.
    private func wholeReads(_ api: APIDatabase) async throws -> Int {
        // What sessions have counted is told to others now, and not some time later.
        _ = try await api.asWorker.query("SELECT pg_stat_force_next_flush()")
        try await database.query("SELECT pg_stat_force_next_flush()")
        let rows = try await database.query(
            "SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'public.jobs'::regclass")
        return try rows[0].decode("seq_scan")
    }

    @Test func `no statement of the pages reads the whole table of jobs`() async throws {
        try await fill()
        let api = api
        let before = try await wholeReads(api)
        for scope in [OverviewFigures.Scope.all, .workspaces([TestDatabase.workspace])] {
            _ = try await OverviewFigures.read(api, as: operatorCaller, scope)
            #expect(try await wholeReads(api) == before, "what waits, \(scope)")
            _ = try await RunFigures.read(api, as: operatorCaller, scope, .init())
            #expect(try await wholeReads(api) == before, "what ran, \(scope)")
            _ = try await NewestErrorGroups.read(api, as: operatorCaller, scope)
            #expect(try await wholeReads(api) == before, "errors, \(scope)")
        }
        _ = try await Relations.read(api, as: operatorCaller, of: UUID())
        #expect(try await wholeReads(api) == before, "relations")
        _ = try await api.asWorker.query("SELECT count(*) FROM public.jobs WHERE payload IS NULL")
        #expect(try await wholeReads(api) == before + 1)
    }
}

private struct Noop: JobProcessor {
    let jobTypes = ["noop"]
    func process(_ job: Job, context: JobContext) async throws -> JSONText? { nil }
}
