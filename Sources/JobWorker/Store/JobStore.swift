public import Postgres

/// Every statement about jobs, one file per concern.
///
/// Each one is a single statement that may be repeated: after `.connectionLost` nobody knows whether it
/// took effect, so it is sent again, and the claim's token tells our own earlier write from another's.
package struct JobStore: Sendable {
    package let pool: ConnectionPool
    private let level: Live<JobLogLevel?>

    package init(pool: ConnectionPool, lifecycleLevel: JobLogLevel? = .info) {
        self.pool = pool
        level = Live(lifecycleLevel)
    }

    /// The lowest level of the rows this store itself writes to `job_logs`; `nil` for none. Of all copies of this store.
    package var lifecycleLevel: JobLogLevel? {
        get { level.value }
        nonmutating set { level.value = newValue }
    }

    /// The lifecycle levels that are written.
    var loggedLevels: [String] {
        guard let lifecycleLevel else { return [] }
        return JobLogLevel.allCases.filter { $0 >= lifecycleLevel }.map(\.rawValue)
    }
}

extension JSONText: PostgresCodable {
    public static var postgresType: UInt32 { RawJSON.postgresType }
    public static var postgresArrayType: UInt32 { RawJSON.postgresArrayType }
    public var postgresText: String { text }
    public init?(postgresText: String) { self.init(postgresText) }
}

extension Claim {
    init(_ row: Row) throws(PostgresError) {
        self.init(jobID: try row.decode("id"), token: try row.decode("lease_token"))
    }
}
