package import Postgres

extension JobStore {
    /// All limits by name. Relies on `jobs_processing`.
    package func limits() async throws(PostgresError) -> [JobLimitStatus] {
        try Self.limits(in: try await pool.query(Self.limitsStatement(of: nil)))
    }

    /// One of them, within a transaction.
    package static func limit(
        _ name: String, _ connection: isolated Connection
    ) throws(PostgresError) -> JobLimitStatus? {
        try limits(in: try connection.execute(limitsStatement(of: name))).first
    }

    private static func limitsStatement(of name: String?) -> Statement {
        """
        /* jobworker:limits */
        SELECT name, job_type, workspace_id, each_workspace, max_running, rate,
               extract(epoch FROM period)::float8 AS period, burst,
               (SELECT count(*) FROM public.jobs
                WHERE (jobs.status = 'processing' OR jobs.lease_open)
                  AND coalesce(job_limits.job_type = jobs.job_type, true)
                  AND coalesce(job_limits.workspace_id = jobs.workspace_id, true)) AS running
        FROM public.job_limits WHERE \(name) IS NULL OR name = \(name)
        ORDER BY name
        """
    }

    /// How many due jobs each limit keeps from starting now, as it has no room; limits that keep none are there with 0. A
    /// job may be kept by several. Relies on `jobs_turns`, which holds what is pending while there is a limit, and on
    /// `jobs_processing`; of the due jobs 100,000 are looked at.
    package func heldByLimits() async throws(PostgresError) -> [(name: String, jobs: Int)] {
        let rows = try await pool.query(
            """
            /* jobworker:limits.held */
            WITH running AS MATERIALIZED (
                SELECT workspace_id, job_type, count(*) AS count FROM public.jobs
                WHERE (status = 'processing' OR lease_open) AND EXISTS (SELECT FROM public.job_limits)
                GROUP BY workspace_id, job_type
            ), waiting AS MATERIALIZED (
                SELECT workspace_id, job_type, count(*) AS count
                FROM (SELECT workspace_id, job_type FROM public.jobs
                      WHERE status = 'pending' AND takes_turns
                        AND greatest(created_at, scheduled_for, next_retry_at) <= clock_timestamp()
                        AND EXISTS (SELECT FROM public.job_limits)
                      LIMIT 100000) AS due
                GROUP BY workspace_id, job_type
            )
            SELECT held.name, coalesce(sum(waiting.count) FILTER (WHERE
                       (SELECT coalesce(sum(running.count), 0) FROM running
                        WHERE coalesce(held.job_type = running.job_type, true)
                          AND coalesce(held.workspace_id = running.workspace_id, true)
                          AND (NOT held.each_workspace OR running.workspace_id = waiting.workspace_id))
                           >= held.max_running
                       OR spent.tokens + extract(epoch FROM clock_timestamp() - spent.counted_at)::float8
                              * held.rate / extract(epoch FROM held.period)::float8 < 1), 0)::bigint AS jobs
            FROM public.job_limits AS held
            LEFT JOIN waiting ON coalesce(held.job_type = waiting.job_type, true)
                             AND coalesce(held.workspace_id = waiting.workspace_id, true)
            LEFT JOIN jobworker.limit_tokens AS spent ON spent.limit_name = held.name
                AND spent.workspace_id = CASE WHEN held.each_workspace THEN waiting.workspace_id
                                              ELSE '00000000-0000-0000-0000-000000000000' END
            GROUP BY held.name ORDER BY held.name
            """)
        var held: [(name: String, jobs: Int)] = []
        for row in rows { held.append((try row.decode("name"), try row.decode("jobs"))) }
        return held
    }

    private static func limits(in rows: Rows) throws(PostgresError) -> [JobLimitStatus] {
        var limits: [JobLimitStatus] = []
        for row in rows {
            var limit = JobLimit(name: try row.decode("name"))
            limit.jobType = try row.decodeIfPresent("job_type")
            limit.workspaceID = try row.decodeIfPresent("workspace_id")
            limit.isForEachWorkspace = try row.decode("each_workspace")
            limit.maxRunning = try row.decodeIfPresent("max_running")
            if let starts: Int = try row.decodeIfPresent("rate") {
                limit.rate = JobLimit.Rate(
                    starts: starts, period: .seconds(try row.decode("period", as: Double.self)),
                    burst: try row.decodeIfPresent("burst"))
            }
            limits.append(JobLimitStatus(limit: limit, running: try row.decode("running")))
        }
        return limits
    }

    /// Sets a limit as a whole, in place of an earlier one of its name; it holds from the next claim on.
    /// - Throws: `PostgresError`; with the SQLSTATE `23503` there is no such workspace.
    package func setLimit(_ limit: JobLimit, by requester: Requester) async throws {
        try await pool.transaction { connection in
            try connection.execute(requester.statement)
            try JobStore.setLimit(limit, connection)
        }
    }

    /// The same, within a transaction.
    package static func setLimit(_ limit: JobLimit, _ connection: isolated Connection) throws(PostgresError) {
        try connection.execute(
            """
            /* jobworker:limits.set */
            INSERT INTO public.job_limits (name, job_type, workspace_id, each_workspace, max_running, rate, period, burst)
            VALUES (\(limit.name), \(limit.jobType), \(limit.workspaceID), \(limit.isForEachWorkspace),
                    \(limit.maxRunning), \(limit.rate?.starts), \(limit.rate?.period ?? .seconds(60)), \(limit.rate?.burst))
            ON CONFLICT (name) DO UPDATE
            SET job_type = excluded.job_type, workspace_id = excluded.workspace_id,
                each_workspace = excluded.each_workspace, max_running = excluded.max_running, rate = excluded.rate,
                period = excluded.period, burst = excluded.burst
            """)
    }

    /// - Returns: Whether there was one.
    package func removeLimit(_ name: String, by requester: Requester) async throws -> Bool {
        try await pool.transaction { connection in
            try connection.execute(requester.statement)
            return try connection.execute(
                "/* jobworker:limits.remove */ DELETE FROM public.job_limits WHERE name = \(name)"
            ).affected > 0
        }
    }
}
