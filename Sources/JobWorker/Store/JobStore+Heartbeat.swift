package import Postgres

/// What a beat learned of the claims it named.
package struct HeartbeatAnswer: Sendable {
    /// Still ours.
    package var held: Set<Claim> = []
    /// Cancelled, or cancelled and asked for anew: stop the task; its end must still be recorded.
    package var cancelled: Set<Claim> = []
    /// Taken back or deleted: stop the task and write nothing more.
    package var lost: Set<Claim> = []
}

extension JobStore {
    /// Tells the database that these runs are alive, and finds those that are not ours any more.
    ///
    /// One statement, whatever the number of claims. A row that somebody else has locked is passed over: it is not
    /// confirmed, and keeps no other from being so. Relies on `jobs_pkey`.
    /// - Throws: `PostgresError`. With `.connectionLost` nothing is known of any claim.
    package func heartbeat(_ claims: [Claim]) async throws(PostgresError) -> HeartbeatAnswer {
        let rows = try await pool.query(
            """
            /* jobworker:heartbeat */
            WITH given AS (
                SELECT * FROM unnest(\(claims.map(\.jobID)), \(claims.map(\.token))) AS given (id, lease_token)
            ),
            ours AS MATERIALIZED (
                SELECT jobs.id FROM public.jobs
                JOIN given ON jobs.id = given.id AND jobs.lease_token = given.lease_token
                WHERE jobs.lease_open
                FOR NO KEY UPDATE OF jobs SKIP LOCKED
            ),
            beaten AS (
                UPDATE public.jobs SET worker_heartbeat_at = clock_timestamp()
                WHERE jobs.id = ANY (ARRAY(SELECT id FROM ours))
                RETURNING jobs.id, jobs.lease_token, jobs.status
            )
            SELECT id, lease_token, status, true AS is_confirmed FROM beaten
            UNION ALL
            SELECT jobs.id, jobs.lease_token, jobs.status, false FROM public.jobs
            JOIN given ON jobs.id = given.id AND jobs.lease_token = given.lease_token
            WHERE jobs.lease_open AND jobs.id <> ALL (ARRAY(SELECT id FROM ours))
            """)
        var answer = HeartbeatAnswer(lost: Set(claims))
        for row in rows {
            let claim = try Claim(row)
            answer.lost.remove(claim)
            switch ClaimState(status: try row.decode("status", as: String.self)) {
            case .held: if try row.decode("is_confirmed") { answer.held.insert(claim) }
            case .cancelled: answer.cancelled.insert(claim)
            case .lost: break
            }
        }
        return answer
    }
}
