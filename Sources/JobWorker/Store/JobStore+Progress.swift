package import Postgres

extension JobStore {
    /// Stores how far an attempt is; counts as a sign of life.
    /// - Returns: Whether the claim still holds.
    package func setProgress(_ claim: Claim, _ progress: JSONText) async throws(PostgresError) -> Bool {
        let rows = try await pool.query(
            """
            /* jobworker:progress */
            UPDATE public.jobs SET progress = \(progress), worker_heartbeat_at = clock_timestamp()
            WHERE id = \(claim.jobID) AND lease_token = \(claim.token) AND status = 'processing'
            RETURNING id
            """)
        return !rows.isEmpty
    }

    /// Adds a row to `job_logs`.
    /// - Returns: Whether the claim still holds.
    package func addLog(
        _ claim: Claim, level: JobLogLevel, message: String, metadata: JSONText?
    ) async throws(PostgresError) -> Bool {
        let rows = try await pool.query(
            """
            /* jobworker:log */
            INSERT INTO public.job_logs (job_id, log_level, message, metadata)
            SELECT jobs.id, \(level.rawValue), \(message), \(metadata)
            FROM public.jobs
            WHERE id = \(claim.jobID) AND lease_token = \(claim.token) AND status = 'processing'
            RETURNING job_id
            """)
        return !rows.isEmpty
    }
}
