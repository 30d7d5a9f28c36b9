import FoundationEssentials
package import Postgres

/// What a worker asks for in one look at the queue.
package struct ClaimRequest: Sendable {
    /// A queue and how many more jobs of it may run here. `*` stands for every queue not named.
    package struct QueueShare: Sendable {
        package let name: String
        package let free: Int

        package init(name: String, free: Int) {
            self.name = name
            self.free = free
        }
    }

    package var workerID: String
    package var jobTypes: [String]
    package var queues: [QueueShare]
    /// Free slots in all; 0 claims nothing.
    package var limit: Int
    /// Whether a job whose worker died may be among them.
    package var takesSuspect: Bool
    package var staleAfter: Duration
    /// Payloads larger than this many bytes aren't read; their jobs fail.
    package var payloadLimit = 1 << 20

    package init(
        workerID: String, jobTypes: [String], queues: [QueueShare], limit: Int, takesSuspect: Bool,
        staleAfter: Duration
    ) {
        self.workerID = workerID
        self.jobTypes = jobTypes
        self.queues = queues
        self.limit = limit
        self.takesSuspect = takesSuspect
        self.staleAfter = staleAfter
    }
}

/// What the timer's look found.
package struct PollAnswer: Sendable {
    package let claimed: [ClaimedJob]
    package let takenBack: TakenBack
    package var reaped: Int { takenBack.count }
    package let now: Timestamp
    package let serverStartedAt: Timestamp
}

extension JobStore {
    /// Takes due jobs: by priority, then by the time they became due, then by id.
    ///
    /// Relies on `jobs_due`. The rows are picked by `id = ANY(ARRAY(…))`: joined, a generic plan
    /// would read the whole table.
    /// - Returns: What is claimed, in the order in which it is to start. All of it must run.
    package func claim(_ request: ClaimRequest) async throws(PostgresError) -> [ClaimedJob] {
        guard request.limit > 0, !request.jobTypes.isEmpty else { return [] }
        let rows = try await pool.query(
            """
            /* jobworker:claim */
            WITH RECURSIVE \(claiming(request))
            SELECT * FROM claimed_jobs
            """)
        return try JobStore.claimedJobs(rows)
    }

    /// The timer's look at the queue, all in one statement: says that this worker lives, takes back
    /// jobs whose worker fell silent, and claims.
    package func poll(
        _ request: ClaimRequest, presence: WorkerPresence, reaping: ReapRequest
    ) async throws(PostgresError) -> PollAnswer {
        let rows = try await pool.query(
            """
            /* jobworker:poll */
            WITH RECURSIVE \(presence.beating),
            \(takingBack(reaping)),
            \(claiming(request))
            SELECT taken.reaped, taken.poisoned, clock_timestamp() AS database_time,
                   pg_postmaster_start_time() AS server_started_at, claimed_jobs.*
            FROM (\(JobStore.takenBack)) AS taken
            LEFT JOIN claimed_jobs ON true
            """)
        guard let first = rows.first else {
            throw PostgresError(.malformed, operation: "jobworker:poll", message: "the statement gave no row")
        }
        let isEmpty = try first.decodeIfPresent("id", as: UUID.self) == nil
        return PollAnswer(
            claimed: isEmpty ? [] : try JobStore.claimedJobs(rows), takenBack: try TakenBack(first),
            now: try first.decode("database_time"),
            serverStartedAt: try first.decode("server_started_at"))
    }

    /// The tables `every_queue`, `wanted`, `due`, `picked`, `claimed`, `claimed_jobs` of a claim.
    private func claiming(_ request: ClaimRequest) -> Fragment {
        let named = request.queues.filter { $0.name != "*" }
        let others = request.queues.first { $0.name == "*" }?.free ?? 0
        return """
            -- The queues that hold anything, one index probe each; only where '*' is served.
            every_queue (name) AS (
                (SELECT coalesce(job_queue, 'default') FROM public.jobs
                 WHERE status = 'pending' AND \(others) > 0
                 ORDER BY coalesce(job_queue, 'default') LIMIT 1)
                UNION ALL
                SELECT (SELECT coalesce(job_queue, 'default') FROM public.jobs
                        WHERE status = 'pending' AND coalesce(job_queue, 'default') > every_queue.name
                        ORDER BY coalesce(job_queue, 'default') LIMIT 1)
                FROM every_queue WHERE every_queue.name IS NOT NULL
            ),
            wanted (name, free, is_other) AS (
                SELECT shares.name, least(shares.free, \(request.limit)), shares.is_other
                FROM (
                    SELECT given.*, false FROM unnest(\(named.map(\.name)), \(named.map(\.free))) AS given
                    UNION ALL
                    SELECT every_queue.name, \(others), true FROM every_queue
                    WHERE every_queue.name IS NOT NULL AND every_queue.name <> ALL (\(named.map(\.name)))
                ) AS shares (name, free, is_other)
                WHERE NOT EXISTS (SELECT FROM public.job_queues
                                  WHERE job_queues.name = shares.name AND job_queues.paused_at IS NOT NULL)
            ),
            due AS MATERIALIZED (
                SELECT candidate.* FROM wanted CROSS JOIN LATERAL (
                    SELECT jobs.id, jobs.worker_deaths > 0 AS is_suspect, wanted.is_other,
                           coalesce(jobs.priority, 0) AS urgency,
                           greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
                    FROM public.jobs
                    WHERE jobs.status = 'pending'
                      AND coalesce(jobs.job_queue, 'default') = wanted.name
                      AND greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) <= now()
                      AND jobs.job_type = ANY (\(request.jobTypes))
                      AND coalesce(jobs.attempts, 0) < coalesce(jobs.max_attempts, 5)
                      AND jobs.workspace_id IS NOT NULL
                      AND (jobs.worker_deaths = 0 OR \(request.takesSuspect))
                      -- An earlier run of it, cancelled and then retried, may not have ended yet.
                      AND (NOT jobs.lease_open OR jobs.worker_heartbeat_at < now() - \(request.staleAfter))
                    -- The queue is one and the same here; but without it a role under row policies gets all due rows
                    -- sorted, as the planner doesn't see then that the index has them in order.
                    ORDER BY coalesce(jobs.job_queue, 'default'), coalesce(jobs.priority, 0) DESC,
                             greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at), jobs.id
                    LIMIT wanted.free
                    FOR UPDATE OF jobs SKIP LOCKED
                ) AS candidate
            ),
            picked AS MATERIALIZED (
                SELECT ranked.* FROM (
                    SELECT due.*, row_number() OVER (PARTITION BY is_suspect ORDER BY urgency DESC, due_at, id) AS place,
                           row_number() OVER (PARTITION BY is_other ORDER BY urgency DESC, due_at, id) AS other_place
                    FROM due
                ) AS ranked
                -- One suspect at a time: if this process dies too, it is the culprit.
                WHERE (NOT is_suspect OR place = 1)
                  -- The queues behind '*' share one cap.
                  AND (NOT is_other OR other_place <= \(others))
                ORDER BY urgency DESC, due_at, id
                LIMIT \(request.limit)
            ),
            claimed AS (
                UPDATE public.jobs
                SET status = 'processing', attempts = coalesce(attempts, 0) + 1,
                    worker_id = \(request.workerID), lease_token = nextval('jobworker.lease_tokens'),
                    lease_open = true, started_at = clock_timestamp(), worker_heartbeat_at = clock_timestamp(),
                    next_retry_at = NULL, progress = '{}', result = NULL, completed_at = NULL, failed_at = NULL
                WHERE id = ANY (ARRAY(SELECT id FROM picked))
                RETURNING id, workspace_id, job_type, coalesce(job_queue, 'default') AS queue,
                    coalesce(priority, 0) AS priority, attempts, coalesce(max_attempts, 5) AS max_attempts,
                    timeout_seconds, created_at, started_at, lease_token,
                    CASE WHEN octet_length(payload::text) <= \(request.payloadLimit) THEN payload::text END AS payload,
                    octet_length(payload::text) AS payload_bytes, worker_id
            ),
            claim_rows AS (
                INSERT INTO public.job_logs (job_id, log_level, message, metadata)
                SELECT id, 'debug', format('Attempt %s of %s started', attempts, max_attempts),
                       jsonb_build_object('attempt', attempts, 'worker_id', worker_id)
                FROM claimed WHERE 'debug' = ANY (\(loggedLevels))
            ),
            claimed_jobs AS (
                SELECT claimed.*, picked.due_at, picked.is_suspect FROM claimed JOIN picked USING (id)
            )
            """
    }

    private static func claimedJobs(_ rows: Rows) throws(PostgresError) -> [ClaimedJob] {
        var claimed: [ClaimedJob] = []
        claimed.reserveCapacity(rows.count)
        for row in rows {
            let payload: JSONText? = try row.decodeIfPresent("payload")
            let job = Job(
                id: try row.decode("id"), workspaceID: try row.decode("workspace_id"),
                type: try row.decode("job_type"), queue: try row.decode("queue"),
                payload: payload ?? JSONText("null"), priority: try row.decode("priority"),
                attempt: try row.decode("attempts"), maxAttempts: try row.decode("max_attempts"),
                timeout: try row.decodeIfPresent("timeout_seconds", as: Int.self).map { .seconds($0) },
                createdAt: try row.decode("created_at"), dueAt: try row.decode("due_at"),
                startedAt: try row.decode("started_at"))
            var refusal: String?
            if payload == nil {
                let bytes = try row.decode("payload_bytes", as: Int.self)
                refusal =
                    "The payload has \(bytes) bytes, more than the worker accepts; store the data elsewhere and pass a reference"
            }
            claimed.append(
                ClaimedJob(
                    job: job, claim: try Claim(row), isSuspect: try row.decode("is_suspect"), refusal: refusal))
        }
        // RETURNING promises no order.
        return claimed.sorted { left, right in
            (right.job.priority, left.job.dueAt, left.job.id.text) < (
                left.job.priority, right.job.dueAt, right.job.id.text
            )
        }
    }
}
