package import FoundationEssentials
package import Postgres

/// Figures about jobs, by the database's clock.
package struct JobStatistics: Sendable {
    /// How many jobs there are in each status; those without one stand under "".
    package var statuses: [String: Int] = [:]
    package var completedLastHour = 0
    package var failedLastHour = 0
    package var failedLastDay = 0
    /// Completed within the last day after more than five minutes.
    package var slowLastDay = 0
    /// From start to end of jobs completed within the last hour; `nil` where there were none.
    package var averageDuration: Duration?
    package var durationP50: Duration?
    package var durationP95: Duration?
    package var durationP99: Duration?
    package var asOf: Timestamp = .distantPast

    package init() {}

    package var queueDepth: Int { statuses["pending"] ?? 0 }
    package var processing: Int { statuses["processing"] ?? 0 }

    /// With one decimal.
    package var throughputPerMinute: Double { (Double(completedLastHour) / 6).rounded() / 10 }

    /// The share of the jobs ended within the last hour that completed; `nil` where none ended.
    package var successRate: Double? {
        let ended = completedLastHour + failedLastHour
        return ended == 0 ? nil : Double(completedLastHour) / Double(ended)
    }
}

/// A job type of which jobs wait that no live worker takes.
package struct UnservedType: Sendable, Hashable {
    package let type: String
    package let queue: String
    package let count: Int
    package let oldest: Timestamp?

    package init(type: String, queue: String, count: Int, oldest: Timestamp?) {
        self.type = type
        self.queue = queue
        self.count = count
        self.oldest = oldest
    }
}

extension JobStore {
    /// Figures about all jobs, or those of one workspace. Reads them all twice: most of a second for a million; those of
    /// a workspace by `jobs_workspace_newest`.
    package func statistics(workspaceID: UUID? = nil) async throws(PostgresError) -> JobStatistics {
        var filter = JobFilter()
        filter.workspaceID = workspaceID
        let rows = try await pool.query(
            """
            /* jobworker:statistics */
            WITH clock AS MATERIALIZED (
                SELECT clock_timestamp() AS as_of, clock_timestamp() - interval '1 hour' AS hour_ago,
                       clock_timestamp() - interval '1 day' AS day_ago
            ),
            counts AS (
                SELECT coalesce(status, '') AS status, count(*) AS count,
                       count(*) FILTER (WHERE completed_at > (SELECT hour_ago FROM clock)) AS ended_last_hour,
                       count(*) FILTER (WHERE failed_at > (SELECT hour_ago FROM clock)) AS failed_last_hour,
                       count(*) FILTER (WHERE failed_at > (SELECT day_ago FROM clock)) AS failed_last_day,
                       count(*) FILTER (WHERE completed_at > (SELECT day_ago FROM clock)
                                          AND completed_at - started_at > interval '5 minutes') AS slow_last_day
                FROM public.jobs WHERE \(filter.condition) GROUP BY 1
            ),
            took AS (
                SELECT avg(seconds) AS average,
                       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds) AS percentiles
                FROM (SELECT extract(epoch FROM completed_at - started_at)::float8 AS seconds
                      FROM public.jobs
                      WHERE status = 'completed' AND completed_at > (SELECT hour_ago FROM clock)
                        AND \(filter.condition)) AS completed
            )
            SELECT counts.*, took.*, clock.as_of FROM clock CROSS JOIN took LEFT JOIN counts ON true
            """)
        var statistics = JobStatistics()
        for row in rows {
            statistics.asOf = try row.decode("as_of")
            statistics.averageDuration = try row.decodeIfPresent("average", as: Double.self).map { .seconds($0) }
            if let percentiles = try row.decodeIfPresent("percentiles", as: [Double].self), percentiles.count == 3 {
                statistics.durationP50 = .seconds(percentiles[0])
                statistics.durationP95 = .seconds(percentiles[1])
                statistics.durationP99 = .seconds(percentiles[2])
            }
            // Without any job there is one row, without a status.
            guard let status = try row.decodeIfPresent("status", as: String.self) else { continue }
            statistics.statuses[status] = try row.decode("count", as: Int.self)
            if status == JobStatus.completed.rawValue {
                statistics.completedLastHour = try row.decode("ended_last_hour")
                statistics.slowLastDay = try row.decode("slow_last_day")
            }
            if status == JobStatus.failed.rawValue || status == JobStatus.deadLetter.rawValue {
                statistics.failedLastHour += try row.decode("failed_last_hour", as: Int.self)
                statistics.failedLastDay += try row.decode("failed_last_day", as: Int.self)
            }
        }
        return statistics
    }

    /// What waits, due or not, without a live worker for its type and queue; the largest first. Relies on `jobs_due`.
    /// - Parameter silence: How long a worker may be silent and still count as alive.
    package func unservedTypes(silence: Duration) async throws(PostgresError) -> [UnservedType] {
        let rows = try await pool.query(
            """
            /* jobworker:unserved */
            WITH waiting AS (
                SELECT job_type, coalesce(job_queue, 'default') AS queue, count(*) AS count,
                       min(greatest(created_at, scheduled_for, next_retry_at)) AS oldest
                FROM public.jobs
                WHERE status = 'pending' AND workspace_id IS NOT NULL
                GROUP BY 1, 2
            )
            SELECT job_type, queue, count, oldest FROM waiting
            WHERE NOT EXISTS (
                SELECT FROM public.job_workers AS worker
                WHERE worker.stopped_at IS NULL AND worker.seen_at > clock_timestamp() - \(silence)
                  AND waiting.job_type = ANY (worker.job_types)
                  AND (waiting.queue = ANY (worker.queues) OR '*' = ANY (worker.queues)))
            ORDER BY count DESC, job_type, queue
            """)
        var types: [UnservedType] = []
        for row in rows {
            types.append(
                UnservedType(
                    type: try row.decode("job_type"), queue: try row.decode("queue"), count: try row.decode("count"),
                    oldest: try row.decodeIfPresent("oldest")))
        }
        return types
    }
}
