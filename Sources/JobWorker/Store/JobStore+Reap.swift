package import Postgres

/// Which jobs to take back from workers that fell silent.
package struct ReapRequest: Sendable {
    package var staleAfter: Duration
    /// Types served here: rows of them that never had a token may be taken back too.
    package var jobTypes: [String]
    package var retry: RetryPolicy
    package var batch = 100
    /// False while nobody can know who lives, as right after an outage: then nothing is taken back.
    package var isAllowed = true

    package init(staleAfter: Duration, jobTypes: [String], retry: RetryPolicy, isAllowed: Bool = true) {
        self.staleAfter = staleAfter
        self.jobTypes = jobTypes
        self.retry = retry
        self.isAllowed = isAllowed
    }
}

/// Jobs taken back from workers that fell silent.
package struct TakenBack: Sendable, Hashable {
    package var count = 0
    /// The ids of those among them that failed for good, as three workers had died running them.
    package var poisoned: [String] = []

    init() {}

    init(_ row: Row) throws(PostgresError) {
        count = try row.decode("reaped")
        let ids: String = try row.decodeIfPresent("poisoned") ?? ""
        poisoned = ids.split(separator: ",").map(String.init)
    }
}

extension JobStore {
    /// Takes back jobs whose worker has not been heard of for longer than `staleAfter`. Cancelled ones among them stay
    /// cancelled; their run counts as ended.
    ///
    /// The lost attempt counts; the job waits its normal delay (up to a tenth longer), or fails if its
    /// attempts are used up or if it was the only suspect in the death of three workers. Cancelled jobs of such
    /// workers only lose their open lease.
    /// Relies on `jobs_processing`. Safe from any number of workers at once.
    /// - Returns: How many.
    package func reap(_ request: ReapRequest) async throws(PostgresError) -> Int {
        let rows = try await pool.query(
            """
            /* jobworker:reap */
            WITH \(takingBack(request)) \(JobStore.takenBack)
            """)
        return try rows.first.map(TakenBack.init)?.count ?? 0
    }

    /// What a statement with the table `taken_back` tells of it, for `TakenBack`.
    static var takenBack: Fragment {
        "SELECT count(*) AS reaped, string_agg(id::text, ',') FILTER (WHERE is_poison) AS poisoned FROM taken_back"
    }

    /// Takes back, at once, what an earlier process of this very instance was running.
    ///
    /// Only for a caller that holds the instance's lock, so that its predecessor is dead for sure, and that has
    /// registered itself: who registered later is no predecessor. Relies on `jobs_processing`.
    package func takeBackPredecessors(
        of workerID: String, instance: String, machineID: String, retry: RetryPolicy
    ) async throws(PostgresError) -> TakenBack {
        let rows = try await pool.query(
            """
            /* jobworker:take_back */
            WITH predecessors AS (
                -- None that came later: this statement may arrive after the end of the process that sent it.
                SELECT other.id FROM public.job_workers AS own
                JOIN public.job_workers AS other ON other.started_at < own.started_at AND other.id <> own.id
                WHERE own.id = \(workerID) AND other.instance = \(instance) AND other.machine_id = \(machineID)
            ),
            stale AS MATERIALIZED (
                SELECT jobs.id, jobs.attempts, jobs.max_attempts, jobs.worker_id, jobs.worker_deaths,
                       jobs.worker_heartbeat_at
                FROM public.jobs
                WHERE jobs.status = 'processing' AND jobs.lease_token IS NOT NULL
                  AND jobs.worker_id IN (
                      SELECT id FROM predecessors)
                ORDER BY jobs.id
                FOR UPDATE OF jobs SKIP LOCKED
            ),
            let_go AS (
                -- Cancelled while the predecessor ran them: that run has ended.
                UPDATE public.jobs SET lease_open = false
                WHERE id = ANY (ARRAY(
                    SELECT jobs.id FROM public.jobs
                    WHERE jobs.lease_open AND jobs.status <> 'processing'
                      AND jobs.worker_id IN (
                          SELECT id FROM predecessors)
                    ORDER BY jobs.id
                    FOR UPDATE OF jobs SKIP LOCKED))
            ),
            \(verdicts(retry))
            \(JobStore.takenBack)
            """)
        return try rows.first.map(TakenBack.init) ?? TakenBack()
    }

    /// The tables `stale`, `closed`, `verdict`, `taken_back` and its log rows.
    func takingBack(_ request: ReapRequest) -> Fragment {
        """
        stale AS MATERIALIZED (
            SELECT jobs.id, jobs.attempts, jobs.max_attempts, jobs.worker_id, jobs.worker_deaths,
                   jobs.worker_heartbeat_at
            FROM public.jobs
            WHERE jobs.status = 'processing' AND jobs.workspace_id IS NOT NULL AND \(request.isAllowed)
              AND CASE WHEN jobs.lease_token IS NOT NULL
                       THEN jobs.worker_heartbeat_at < clock_timestamp() - \(request.staleAfter)
                       -- The application runs some types itself and sets no token: leave it an hour.
                       ELSE jobs.job_type = ANY (\(request.jobTypes))
                        AND greatest(jobs.worker_heartbeat_at, jobs.started_at, jobs.created_at)
                            < clock_timestamp() - interval '1 hour'
                  END
            ORDER BY jobs.id
            LIMIT \(request.batch)
            FOR UPDATE OF jobs SKIP LOCKED
        ),
        -- Cancelled while it ran, by a worker that died before it could record the run's end: a lease that stayed
        -- open would keep the job from ever being deleted. One that is pending again is the claim's to judge.
        closed AS (
            UPDATE public.jobs SET lease_open = false
            WHERE id = ANY (ARRAY(
                SELECT jobs.id FROM public.jobs
                WHERE jobs.lease_open AND jobs.status NOT IN ('processing', 'pending') AND \(request.isAllowed)
                  AND jobs.worker_heartbeat_at < clock_timestamp() - \(request.staleAfter)
                ORDER BY jobs.id
                LIMIT \(request.batch)
                FOR UPDATE OF jobs SKIP LOCKED))
        ),
        \(verdicts(request.retry))
        """
    }

    private func verdicts(_ retry: RetryPolicy) -> Fragment {
        let delayBase = retry.delayBase.seconds
        let delayMax = retry.delayMax.seconds
        return """
            verdict AS (
                SELECT stale.*, worker_deaths + 1 >= 3 AS is_poison,
                       worker_deaths + 1 >= 3 OR coalesce(attempts, 0) >= coalesce(max_attempts, 5) AS is_final,
                       least(\(delayBase) * 2 ^ least(greatest(coalesce(attempts, 1) - 1, 0), 30), \(delayMax))
                           * (1 + 0.1 * random()) AS delay_seconds,
                       format('The worker that ran attempt %s stopped answering (%s, last heard of at %s)',
                              attempts, coalesce(worker_id, 'unknown'),
                              coalesce(to_char(worker_heartbeat_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'never')) AS reason
                FROM stale
            ),
            taken_back AS (
                UPDATE public.jobs
                SET status = CASE WHEN is_final THEN 'failed' ELSE 'pending' END,
                    error_message = CASE WHEN is_poison
                        THEN reason || '. Three workers died running this job; it is not tried again'
                        ELSE reason END,
                    error_stack = NULL,
                    failed_at = CASE WHEN is_final THEN clock_timestamp() END,
                    completed_at = CASE WHEN is_final THEN clock_timestamp() END,
                    next_retry_at = CASE WHEN NOT is_final
                        THEN clock_timestamp() + make_interval(secs => verdict.delay_seconds) END,
                    retry_delay_seconds = CASE WHEN is_final THEN retry_delay_seconds
                        ELSE ceil(verdict.delay_seconds)::int END,
                    worker_deaths = jobs.worker_deaths + 1, lease_open = false, snoozed_since = NULL
                FROM verdict
                WHERE jobs.id = verdict.id AND jobs.status = 'processing'
                RETURNING jobs.id, jobs.status, jobs.error_message, verdict.attempts, verdict.worker_id,
                    jobs.next_retry_at, verdict.is_poison
            ),
            taken_back_rows AS (
                INSERT INTO public.job_logs (job_id, log_level, message, metadata)
                SELECT id, rows.level, error_message,
                       jsonb_build_object('attempt', attempts, 'worker_id', worker_id, 'next_retry_at', next_retry_at)
                FROM taken_back
                CROSS JOIN LATERAL (SELECT CASE status WHEN 'failed' THEN 'error' ELSE 'warn' END) AS rows (level)
                WHERE rows.level = ANY (\(loggedLevels))
            )
            """
    }
}

extension Duration {
    /// As a number of seconds, fractions included.
    package var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}
