import Development
import FoundationEssentials
import Postgres

/// The least that any worker woken by the database can take: two plain connections, one of which inserts a row and
/// notifies in one commit, while the other one waits, and then claims the row by its key in one commit.
struct WakeupFloor: Sendable {
    private let inserter: Connection
    private let claimer: Connection

    /// Makes a bare table of its own: the columns of `jobs`, and no index but the primary key.
    static func prepare(_ database: BenchDatabase) async throws -> WakeupFloor {
        let inserter = try await Connection.open(database.settings)
        try await inserter.runScript(
            "CREATE TABLE public.bench_floor (LIKE public.jobs INCLUDING DEFAULTS, PRIMARY KEY (id))")
        let claimer = try await Connection.open(database.settings)
        try await claimer.runScript("LISTEN bench_floor")
        return WakeupFloor(inserter: inserter, claimer: claimer)
    }

    private init(inserter: Connection, claimer: Connection) {
        self.inserter = inserter
        self.claimer = claimer
    }

    /// - Returns: From just before the INSERT to the claimed row in hand.
    func once() async throws -> Duration {
        async let arrival = claim()
        let start = ContinuousClock.now
        _ = try await inserter.query(
            """
            /* jobworker:bench.floor_insert */
            WITH added AS (INSERT INTO public.bench_floor (job_type, payload) VALUES ('noop', '{}') RETURNING id)
            SELECT pg_notify('bench_floor', id::text) FROM added
            """)
        return try await arrival - start
    }

    private func claim() async throws -> ContinuousClock.Instant {
        guard let woken = try await claimer.notifications(timeout: .seconds(10)).first,
            let id = UUID(uuidString: woken.payload)
        else { throw DevelopmentError("no notification came") }
        let rows = try await claimer.query(
            """
            /* jobworker:bench.floor_claim */
            UPDATE public.bench_floor SET status = 'processing', attempts = attempts + 1, started_at = clock_timestamp()
            WHERE id = \(id) AND status = 'pending' RETURNING id, job_type, payload::text
            """)
        guard rows.count == 1 else { throw DevelopmentError("the notified row is not there") }
        return .now
    }

    func close() async {
        await inserter.close()
        await claimer.close()
    }
}
