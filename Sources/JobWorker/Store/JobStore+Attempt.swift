package import Postgres

extension JobStore {
    /// Adds a row to `job_logs` from outside of the worker, while the claim is held.
    ///
    /// Relies on `jobs_pkey` and `job_logs_job`.
    /// - Returns: `isFull` where the attempt has its most rows already; then nothing was added.
    package func addLog(
        _ claim: Claim, level: JobLogLevel, message: String, metadata: JSONText?, rowsMax: Int
    ) async throws(PostgresError) -> (state: ClaimState, isFull: Bool) {
        let rows = try await pool.query(
            """
            /* jobworker:log.outside */
            WITH run AS (
                SELECT id, status, started_at FROM public.jobs
                WHERE id = \(claim.jobID) AND lease_token = \(claim.token) AND lease_open
            ),
            told AS (
                SELECT count(*) AS rows FROM (
                    SELECT FROM run JOIN public.job_logs ON job_logs.job_id = run.id
                    WHERE job_logs.created_at >= run.started_at LIMIT \(rowsMax)) AS row
            ),
            added AS (
                INSERT INTO public.job_logs (job_id, log_level, message, metadata)
                SELECT run.id, \(level.rawValue), \(message), \(metadata) FROM run, told
                WHERE run.status = 'processing' AND told.rows < \(rowsMax)
            )
            SELECT run.status, told.rows >= \(rowsMax) AS is_full FROM run, told
            """)
        guard let row = rows.first else { return (.lost, false) }
        return (ClaimState(status: try row.decode("status")), try row.decode("is_full"))
    }
}
