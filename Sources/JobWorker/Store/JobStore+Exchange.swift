import FoundationEssentials
package import Postgres

/// What came of completing and claiming at once.
package struct ExchangeAnswer: Sendable {
    /// Completions that were not stored: not ours any more, stored before, or nobody knows.
    package let missing: Set<Claim>
    package let claimed: [ClaimedJob]
}

extension JobStore {
    /// Stores that these attempts succeeded, and takes as many due jobs, in one commit.
    ///
    /// In the usual case, and for it: where a row is locked by somebody for longer than a moment, or one of the
    /// results can't be stored, all of it fails; see `complete`. Relies on `jobs_pkey` and `jobs_due`.
    /// - Parameter request: Counts the slots that these completions free, also where one isn't ours to store any more.
    package func exchange(
        _ completions: [(claim: Claim, result: JSONText?)], for request: ClaimRequest?
    ) async throws(PostgresError) -> ExchangeAnswer {
        var request = request
        if request?.limit == 0 || request?.jobTypes.isEmpty == true || request?.lanes?.isEmpty == true { request = nil }
        let rows: Rows
        if let request {
            rows = try await pool.query(
                """
                /* jobworker:exchange */
                WITH RECURSIVE \(claiming(request)),
                \(completing(completions, after: "(SELECT count(*) FROM claimed) >= 0"))
                SELECT missing.*, claimed_jobs.* FROM missing FULL JOIN claimed_jobs ON false
                """)
        } else {
            rows = try await pool.query(
                """
                /* jobworker:complete */
                WITH \(completing(completions, after: "true"))
                SELECT * FROM missing
                """)
        }
        var missing: Set<Claim> = []
        var claimed: [Row] = []
        for row in rows {
            if let id = try row.decodeIfPresent("missing_id", as: UUID.self) {
                missing.insert(Claim(jobID: id, token: try row.decode("missing_token")))
            } else {
                claimed.append(row)
            }
        }
        return ExchangeAnswer(missing: missing, claimed: try JobStore.claimedJobs(claimed))
    }

    /// The tables `given`, `completed`, `missing`.
    /// - Parameter condition: True, once that is done which is to be done first. The claim is: the longer ago the
    ///   statement began, the more of the jobs that it sees have been claimed by others since.
    private func completing(
        _ completions: [(claim: Claim, result: JSONText?)], after condition: Fragment
    ) -> Fragment {
        let (ids, tokens) = (completions.map(\.claim.jobID), completions.map(\.claim.token))
        let result: Fragment =
            completions.allSatisfy { $0.result == nil }
            ? "NULL"
            : """
            (SELECT (\(NullableArray(completions.map { $0.result?.text })))[array_position(given.tokens, jobs.lease_token)])::jsonb
            """
        return """
            given AS MATERIALIZED (
                -- Whoever locks a row keeps the others waiting for a moment, no longer.
                SELECT \(ids) AS ids, \(tokens) AS tokens, set_config('lock_timeout', '200', true) AS patience
                WHERE \(condition)
            ),
            completed AS (
                UPDATE public.jobs
                SET status = 'completed', completed_at = clock_timestamp(), result = \(result),
                    progress = jobs.progress || '{"percentage": 100}', error_message = NULL, error_stack = NULL,
                    lease_open = false, worker_deaths = 0, snoozed_since = NULL
                FROM given
                -- A token is given out once, so that it needs no comparison in pairs. The status is compared in a way that
                -- leaves only jobs_pkey to find the rows: a plan for few running jobs would be slow for many.
                WHERE jobs.id = ANY (given.ids) AND jobs.lease_token = ANY (given.tokens)
                  AND jobs.status IS NOT DISTINCT FROM 'processing'
                RETURNING jobs.id, jobs.lease_token, jobs.attempts, jobs.worker_id,
                    jobs.completed_at - jobs.started_at AS duration
            ),
            \(loggedLevels.contains("info") ? JobStore.completedRows : "")
            missing AS MATERIALIZED (
                SELECT one.id AS missing_id, one.lease_token AS missing_token
                FROM given CROSS JOIN unnest(given.ids, given.tokens) AS one (id, lease_token)
                WHERE NOT EXISTS (SELECT FROM completed WHERE completed.lease_token = one.lease_token)
            )
            """
    }

    /// A row of `job_logs` for each of `completed`.
    static let completedRows: Fragment = """
        completed_rows AS (
            INSERT INTO public.job_logs (job_id, log_level, message, metadata)
            SELECT id, 'info', format('Completed in %s s', round(extract(epoch FROM duration), 3)),
                   jsonb_build_object('attempt', attempts, 'worker_id', worker_id)
            FROM completed
        ),
        """
}
