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
    /// One statement, whatever the number of claims. Relies on `jobs_pkey`.
    /// - Throws: `PostgresError`. With `.connectionLost` nothing is known of any claim.
    package func heartbeat(_ claims: [Claim]) async throws(PostgresError) -> HeartbeatAnswer {
        let rows = try await pool.query(
            """
            /* jobworker:heartbeat */
            UPDATE public.jobs
            SET worker_heartbeat_at = clock_timestamp()
            FROM unnest(\(claims.map(\.jobID)), \(claims.map(\.token))) AS held (id, lease_token)
            WHERE jobs.id = held.id AND jobs.lease_token = held.lease_token AND jobs.lease_open
            RETURNING jobs.id, jobs.lease_token, jobs.status
            """)
        var answer = HeartbeatAnswer(lost: Set(claims))
        for row in rows {
            let claim = try Claim(row)
            answer.lost.remove(claim)
            switch ClaimState(status: try row.decode("status", as: String.self)) {
            case .held: answer.held.insert(claim)
            case .cancelled: answer.cancelled.insert(claim)
            case .lost: break
            }
        }
        return answer
    }
}
