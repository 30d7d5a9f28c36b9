import FoundationEssentials
package import Postgres

/// How an attempt ended that did not succeed.
package struct Settlement: Sendable {
    package enum Kind: String, Sendable {
        /// Tried again after `delay`, or failed where attempts are used up.
        case retry
        /// Failed for good.
        case fail
        /// Due again after `delay`, the attempt given back; after a day of this it counts as a failure.
        case snooze
        /// Given back by a stopping worker: due now, the attempt given back.
        case release
    }

    package let claim: Claim
    package let kind: Kind
    package let message: String
    package let stack: String?
    /// After a retry: the policy's delay. After a snooze: the time asked for.
    package let delay: Duration
    /// The policy's delay for a snooze that has lasted too long.
    package let retryDelay: Duration

    package init(
        claim: Claim, kind: Kind, message: String, stack: String? = nil, delay: Duration = .zero,
        retryDelay: Duration = .zero
    ) {
        self.claim = claim
        self.kind = kind
        self.message = message
        self.stack = stack
        self.delay = delay
        self.retryDelay = retryDelay
    }
}

/// What the database made of a settlement.
package enum Verdict: String, Sendable {
    case retried, failed, snoozed, released
}

extension JobStore {
    /// Stores how these attempts ended, with their log rows; decides by the row's own counters
    /// whether another attempt follows. Relies on `jobs_pkey`.
    ///
    /// - Returns: What became of each job, by this call or by an earlier one whose answer was lost; a claim that is
    ///   missing was not ours any more, or somebody has locked its row: see `openClaims`. Given back twice by a job
    ///   that is a suspect counts as missing: nothing tells that from having been taken back.
    package func settle(_ settlements: [Settlement]) async throws(PostgresError) -> [Claim: Verdict] {
        let rows = try await pool.query(
            """
            /* jobworker:settle */
            WITH ended AS MATERIALIZED (
                SELECT jobs.id, given.lease_token, given.message, given.stack,
                       coalesce(jobs.attempts, 1) AS attempts, coalesce(jobs.max_attempts, 5) AS max_attempts,
                       given.kind, given.delay, given.retry_delay,
                       given.kind = 'snooze' AND jobs.snoozed_since < now() - interval '1 day' AS slept_enough
                FROM unnest(
                    \(settlements.map(\.claim.jobID)), \(settlements.map(\.claim.token)),
                    \(settlements.map(\.kind.rawValue)), \(settlements.map(\.message)),
                    \(NullableArray(settlements.map(\.stack))), \(settlements.map(\.delay.seconds)),
                    \(settlements.map(\.retryDelay.seconds)))
                    AS given (id, lease_token, kind, message, stack, delay, retry_delay)
                JOIN public.jobs ON jobs.id = given.id
                WHERE jobs.lease_token = given.lease_token AND jobs.status = 'processing'
                ORDER BY jobs.id
                FOR UPDATE OF jobs SKIP LOCKED
            ),
            judged AS (
                SELECT ended.*,
                    CASE WHEN kind = 'release' THEN 'released'
                         WHEN kind = 'snooze' AND NOT coalesce(slept_enough, false) THEN 'snoozed'
                         WHEN kind = 'fail' OR attempts >= max_attempts THEN 'failed'
                         ELSE 'retried' END AS verdict,
                    make_interval(secs => CASE WHEN kind = 'snooze' AND slept_enough THEN retry_delay ELSE delay END) AS wait
                FROM ended
            ),
            settled AS (
                UPDATE public.jobs
                SET status = CASE verdict WHEN 'failed' THEN 'failed' ELSE 'pending' END,
                    attempts = CASE WHEN verdict IN ('snoozed', 'released') THEN jobs.attempts - 1 ELSE jobs.attempts END,
                    failed_at = CASE verdict WHEN 'failed' THEN now() END,
                    completed_at = CASE verdict WHEN 'failed' THEN now() END,
                    next_retry_at = CASE WHEN verdict IN ('retried', 'snoozed') THEN now() + wait END,
                    retry_delay_seconds = CASE verdict WHEN 'retried' THEN ceil(extract(epoch FROM wait))::int
                        ELSE jobs.retry_delay_seconds END,
                    error_message = CASE verdict WHEN 'released' THEN jobs.error_message ELSE judged.message END,
                    error_stack = CASE verdict WHEN 'released' THEN jobs.error_stack ELSE judged.stack END,
                    snoozed_since = CASE verdict WHEN 'snoozed' THEN coalesce(jobs.snoozed_since, now())
                        WHEN 'released' THEN jobs.snoozed_since END,
                    worker_deaths = CASE verdict WHEN 'released' THEN jobs.worker_deaths ELSE 0 END,
                    lease_open = false
                FROM judged
                WHERE jobs.id = judged.id
                RETURNING jobs.id, jobs.lease_token, judged.verdict, judged.attempts, judged.max_attempts,
                    judged.message, jobs.worker_id, jobs.next_retry_at, judged.wait
            ),
            settled_rows AS (
                INSERT INTO public.job_logs (job_id, log_level, message, metadata)
                SELECT id, rows.level, rows.message,
                       jsonb_strip_nulls(jsonb_build_object(
                           'attempt', attempts, 'max_attempts', max_attempts, 'worker_id', worker_id,
                           'next_retry_at', next_retry_at))
                FROM settled
                CROSS JOIN LATERAL (SELECT
                    CASE verdict WHEN 'failed' THEN 'error' WHEN 'retried' THEN 'warn' ELSE 'info' END,
                    CASE verdict
                        WHEN 'failed' THEN format('Failed on attempt %s of %s: %s', attempts, max_attempts, settled.message)
                        WHEN 'retried' THEN format('Attempt %s of %s failed, will be tried again in %s s: %s', attempts,
                            max_attempts, round(extract(epoch FROM wait)), settled.message)
                        WHEN 'snoozed' THEN format('Waiting %s s: %s', round(extract(epoch FROM wait)), settled.message)
                        ELSE format('Given back by the worker: %s', settled.message) END) AS rows (level, message)
                WHERE rows.level = ANY (\(loggedLevels))
            )
            -- What is given back is due now: the table's trigger wakes somebody else.
            SELECT settled.id, settled.lease_token, settled.verdict FROM settled
            UNION ALL
            -- Settled before, by the same claim: the statement was sent twice. What was taken back counts a death.
            SELECT jobs.id, jobs.lease_token,
                   CASE WHEN jobs.status = 'failed' THEN 'failed' WHEN given.kind = 'release' THEN 'released'
                        WHEN given.kind = 'snooze' AND jobs.snoozed_since IS NOT NULL THEN 'snoozed'
                        ELSE 'retried' END
            FROM unnest(
                \(settlements.map(\.claim.jobID)), \(settlements.map(\.claim.token)), \(settlements.map(\.kind.rawValue)))
                AS given (id, lease_token, kind)
            JOIN public.jobs ON jobs.id = given.id AND jobs.lease_token = given.lease_token
            WHERE jobs.status IN ('pending', 'failed') AND NOT jobs.lease_open AND jobs.worker_deaths = 0
            """)
        var verdicts: [Claim: Verdict] = [:]
        for row in rows {
            let text = try row.decode("verdict", as: String.self)
            guard let verdict = Verdict(rawValue: text) else {
                throw PostgresError(.malformed, operation: "jobworker:settle", message: "unknown verdict \(text)")
            }
            verdicts[try Claim(row)] = verdict
        }
        return verdicts
    }
}
