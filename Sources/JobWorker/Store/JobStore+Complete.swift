package import Postgres

extension JobStore {
    /// Stores that these attempts succeeded, with their results, whatever else happens to their rows.
    ///
    /// The slow way, which passes over locked rows; see `exchange` for the usual one.
    /// - Returns: The claims whose completion is stored, by this call or by an earlier one whose answer
    ///   was lost. The others were not ours any more, or somebody has locked their rows: see `openClaims`.
    /// - Throws: `PostgresError`; where the server refused, one of the results can't be stored.
    package func complete(
        _ completions: [(claim: Claim, result: JSONText?)]
    ) async throws(PostgresError) -> Set<Claim> {
        let rows = try await pool.query(
            """
            /* jobworker:complete_unlocked */
            WITH given AS (
                SELECT * FROM unnest(
                    \(completions.map(\.claim.jobID)), \(completions.map(\.claim.token)),
                    \(NullableArray(completions.map { $0.result?.text }))) AS given (id, lease_token, result)
            ),
            ended AS MATERIALIZED (
                SELECT given.* FROM given
                JOIN public.jobs ON jobs.id = given.id AND jobs.lease_token = given.lease_token
                WHERE jobs.status = 'processing'
                ORDER BY jobs.id
                FOR NO KEY UPDATE OF jobs SKIP LOCKED
            ),
            completed AS (
                UPDATE public.jobs
                SET status = 'completed', completed_at = clock_timestamp(), result = ended.result::jsonb,
                    progress = jobs.progress || '{"percentage": 100}', error_message = NULL, error_stack = NULL,
                    lease_open = false, worker_deaths = 0, snoozed_since = NULL
                FROM ended
                WHERE jobs.id = ended.id AND jobs.lease_token = ended.lease_token AND jobs.status = 'processing'
                RETURNING jobs.id, jobs.lease_token, jobs.attempts, jobs.worker_id,
                    jobs.completed_at - jobs.started_at AS duration
            ),
            \(loggedLevels.contains("info") ? JobStore.completedRows : "")
            stored AS (SELECT id, lease_token FROM completed)
            SELECT id, lease_token FROM stored
            UNION ALL
            -- Stored before, by the same claim: the statement was sent twice.
            SELECT jobs.id, jobs.lease_token FROM given
            JOIN public.jobs ON jobs.id = given.id AND jobs.lease_token = given.lease_token
            WHERE jobs.status = 'completed'
            """)
        var stored: Set<Claim> = []
        for row in rows { stored.insert(try Claim(row)) }
        return stored
    }

    /// Those of the claims that still are to be ended: what a statement passed over because of another's row lock.
    package func openClaims(_ claims: [Claim]) async throws(PostgresError) -> Set<Claim> {
        let rows = try await pool.query(
            """
            /* jobworker:open_claims */
            SELECT jobs.id, jobs.lease_token
            FROM unnest(\(claims.map(\.jobID)), \(claims.map(\.token))) AS given (id, lease_token)
            JOIN public.jobs ON jobs.id = given.id AND jobs.lease_token = given.lease_token
            WHERE jobs.status = 'processing'
            """)
        var open: Set<Claim> = []
        for row in rows { open.insert(try Claim(row)) }
        return open
    }

    /// Stores that these runs have ended although their jobs were not ours to end: cancelled ones may
    /// then be claimed anew.
    ///
    /// - Returns: Those whose rows somebody else has locked; ask again for them.
    @discardableResult
    package func endRuns(_ claims: [Claim]) async throws(PostgresError) -> Set<Claim> {
        let rows = try await pool.query(
            """
            /* jobworker:end_runs */
            WITH open AS (
                SELECT jobs.id, jobs.lease_token
                FROM unnest(\(claims.map(\.jobID)), \(claims.map(\.token))) AS given (id, lease_token)
                JOIN public.jobs ON jobs.id = given.id AND jobs.lease_token = given.lease_token
                WHERE jobs.lease_open AND jobs.status <> 'processing'
            ),
            ended AS MATERIALIZED (
                SELECT jobs.id FROM open
                JOIN public.jobs ON jobs.id = open.id AND jobs.lease_token = open.lease_token
                WHERE jobs.lease_open AND jobs.status <> 'processing'
                FOR NO KEY UPDATE OF jobs SKIP LOCKED
            ),
            closed AS (
                UPDATE public.jobs SET lease_open = false WHERE jobs.id = ANY (ARRAY(SELECT id FROM ended))
            )
            SELECT id, lease_token FROM open WHERE id <> ALL (ARRAY(SELECT id FROM ended))
            """)
        var locked: Set<Claim> = []
        for row in rows { locked.insert(try Claim(row)) }
        return locked
    }
}
