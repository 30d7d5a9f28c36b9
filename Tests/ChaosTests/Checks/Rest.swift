import Postgres

/// After everything is healed, all work must come to its end by itself.
struct Rest: Sendable {
    let seconds: Double
    let isQuiet: Bool

    static func wait(_ database: ChaosDatabase) async throws -> Rest {
        let begin = ContinuousClock.now
        while true {
            let passed = (ContinuousClock.now - begin) / .seconds(1)
            let open: Int?
            do throws(PostgresError) {
                open =
                    try await database.admin.query(
                        """
                        SELECT count(*) AS open FROM public.jobs
                        WHERE status NOT IN ('completed', 'failed', 'cancelled', 'dead_letter') OR lease_open
                        """
                    ).first?.decode("open")
            } catch {
                // A session from before the last restart.
                guard error.isTransient else { throw error }
                open = nil
            }
            if open == 0 { return Rest(seconds: passed, isQuiet: true) }
            if ContinuousClock.now - begin > Course.quietWithin { return Rest(seconds: passed, isQuiet: false) }
            try await Task.sleep(for: .milliseconds(300))
        }
    }
}
