import Postgres

/// Whether the starts of jobs kept to a rate, in every stretch of time and not only in some.
package struct RateCheck: Sendable {
    private let database: TestDatabase

    package init(database: TestDatabase) { self.database = database }

    /// How many starts too many the worst stretch of time had; 0 or less where none had too many.
    ///
    /// A start is stored a moment after its token was taken: a quarter of a second is left for that.
    package func worst(rate: Int, burst: Int, of condition: String = "true") async throws -> Int {
        try await database.value(
            """
            WITH starts AS (
                SELECT started_at AS at, row_number() OVER (ORDER BY started_at) AS number
                FROM public.jobs WHERE started_at IS NOT NULL AND (\(sql: condition))
            )
            SELECT coalesce(max(ceil((b.number - a.number + 1)
                - (\(burst) + \(rate) * (extract(epoch FROM b.at - a.at) + 0.25)))), 0)::int
            FROM starts AS a JOIN starts AS b ON b.number >= a.number
            """) ?? 0
    }
}
