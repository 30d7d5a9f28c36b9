import Development
import FoundationEssentials
import Postgres

/// The least that any worker woken by the database can take: two plain connections, one of which inserts a row and
/// notifies in one commit, while the other one waits, and then claims the row by its key in one commit. Both statements
/// are prepared, as those of the worker are.
struct WakeupFloor: Sendable {
    enum Table: String {
        /// With the columns, indexes and checks of `jobs`: what it is without triggers, foreign keys and row policies.
        case alike
        /// The columns of `jobs`, and no index but the primary key.
        case bare

        fileprivate var name: String { "bench_floor_\(rawValue)" }

        fileprivate var definition: String {
            switch self {
            case .alike: "LIKE public.jobs INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES"
            case .bare: "LIKE public.jobs INCLUDING DEFAULTS, PRIMARY KEY (id)"
            }
        }
    }

    private let inserter: Connection
    private let claimer: Connection
    private let workspaceID: UUID
    private let table: Fragment
    private let channel: String

    /// Makes the table.
    static func prepare(_ database: BenchDatabase, _ table: Table) async throws -> WakeupFloor {
        let inserter = try await Connection.open(database.settings)
        try await inserter.runScript("CREATE TABLE public.\(table.name) (\(table.definition))")
        let claimer = try await Connection.open(database.settings)
        try await claimer.runScript("LISTEN \(table.name)")
        return WakeupFloor(
            inserter: inserter, claimer: claimer, workspaceID: database.workspaceID,
            table: Fragment(stringLiteral: "public.\(table.name)"), channel: table.name)
    }

    /// - Returns: From just before the INSERT to the claimed row in hand.
    func once() async throws -> Duration {
        async let arrival = claim()
        let start = ContinuousClock.now
        _ = try await inserter.query(
            """
            /* jobworker:bench.floor_insert */
            WITH added AS (
                INSERT INTO \(table) (workspace_id, job_type, payload) VALUES (\(workspaceID), 'bench', '{}') RETURNING id
            )
            SELECT pg_notify(\(channel), id::text) FROM added
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
            UPDATE \(table) SET status = 'processing', attempts = attempts + 1, started_at = clock_timestamp()
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
