package import Postgres

extension JobStore {
    /// Stores how far an attempt is; counts as a sign of life. A cancelled job keeps the progress that it had.
    package func setProgress(_ claim: Claim, _ progress: JSONText) async throws(PostgresError) -> ClaimState {
        let rows = try await pool.query(
            """
            /* jobworker:progress */
            UPDATE public.jobs
            SET progress = CASE status WHEN 'processing' THEN \(progress) ELSE progress END,
                worker_heartbeat_at = clock_timestamp()
            WHERE id = \(claim.jobID) AND lease_token = \(claim.token) AND lease_open
            RETURNING status
            """)
        return ClaimState(status: try rows.first?.decode("status"))
    }

    /// Adds a row to `job_logs`, while the claim is held.
    package func addLog(
        _ claim: Claim, level: JobLogLevel, message: String, metadata: JSONText?
    ) async throws(PostgresError) -> ClaimState {
        let rows = try await pool.query(
            """
            /* jobworker:log */
            WITH run AS (
                SELECT id, status FROM public.jobs
                WHERE id = \(claim.jobID) AND lease_token = \(claim.token) AND lease_open
            ),
            added AS (
                INSERT INTO public.job_logs (job_id, log_level, message, metadata)
                SELECT run.id, \(level.rawValue), \(message), \(metadata) FROM run WHERE run.status = 'processing'
            )
            SELECT status FROM run
            """)
        return ClaimState(status: try rows.first?.decode("status"))
    }
}
