import Postgres

/// Reads again while the database is away for a moment, as for a restart.
struct Patience {
    private static let limit = Duration.seconds(60)
    private var hasSucceeded = false
    private var failingSince: ContinuousClock.Instant?

    /// - Throws: What the last try threw: after a minute without success, and at once before the first success, as
    ///   then the address is wrong rather than the moment.
    mutating func read<Value>(_ body: () async throws -> Value) async throws -> Value {
        while true {
            do {
                let value = try await body()
                hasSucceeded = true
                failingSince = nil
                return value
            } catch let error as PostgresError where error.isTransient && hasSucceeded {
                let since = failingSince ?? .now
                guard since.duration(to: .now) < Patience.limit else { throw error }
                failingSince = since
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}
