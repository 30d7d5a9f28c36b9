import FoundationEssentials
package import Postgres

/// What a careful claim brought.
package struct CarefulAnswer: Sendable {
    package var claimed: [ClaimedJob] = []
    /// Jobs may be due that a cap or a limit holds back, or that this claim left for the next one: worth a look once a
    /// run ends.
    package var leftSome = false
    /// Until a rate gives something again, or somebody else's claim is over; `nil` where none is waited for.
    package var nextChance: Duration?
}

extension JobStore {
    /// Most jobs of one careful claim: it compares about the square of it.
    package static let carefulMax = 100
    /// Looked at beyond what is wanted, as somebody may have locked some rows.
    private static let spare = 10
    /// Workspaces, types and priorities that one claim looks at, from where the last one ended.
    private static let turnLanesMax = 2000
    /// Of the locks of transactions that guard what is counted.
    private static let lockClass = 0x6a77_0001

    /// Takes due jobs by the rules of their queues: caps, weights, ageing, turns of workspaces, and the limits of
    /// `job_limits`. Queues without rules are looked at as well, so that all are compared.
    ///
    /// What is counted is guarded by a lock for each queue with a cap or turns, and one where there are limits: of those
    /// a transaction claims at a time, and it counts after it has got them. Within a queue strictly by priority, which
    /// grows with `ageing`; in a fair one workspace after workspace, and by priority within each. Between queues as
    /// `claim` does; by chance in proportion to their weights where there are any.
    ///
    /// Relies on `jobs_due`, `jobs_turns` and `jobs_processing`.
    /// - Parameter request: Its lanes don't matter.
    /// - Throws: `PostgresError`.
    package func claimCarefully(_ request: ClaimRequest) async throws(PostgresError) -> CarefulAnswer {
        guard request.limit > 0, !request.jobTypes.isEmpty else { return CarefulAnswer() }
        let named = request.queues.filter { $0.name != "*" }
        let others = request.queues.first { $0.name == "*" }?.free ?? 0
        let statement = self
        do {
            return try await pool.transaction { connection in
                // A client that falls silent within the transaction mustn't keep the others waiting.
                try connection.execute(
                    """
                    /* jobworker:claim_patience */
                    SELECT set_config('lock_timeout', '1000', true),
                           set_config('idle_in_transaction_session_timeout', '10000', true)
                    """)
                let locked = try connection.execute(
                    """
                    /* jobworker:claim_lock */
                    SELECT counted.name, pg_advisory_xact_lock(\(JobStore.lockClass)::int, counted.key)::text AS locked
                    FROM (SELECT name, hashtext(name) AS key FROM jobworker.held_queues
                          WHERE is_counted AND (name = '*' OR name = ANY (\(named.map(\.name))) OR \(others) > 0)
                          ORDER BY hashtext(name) OFFSET 0) AS counted
                    """)
                var names: [String] = []
                for row in locked { names.append(try row.decode("name")) }
                // A statement of its own: it sees what was committed before the locks were given.
                let rows = try connection.execute(
                    statement.carefulClaim(request, named: named, others: others, locked: names))
                return try JobStore.carefulAnswer(rows)
            }
        } catch let error as PostgresError {
            // Somebody else claims for very long.
            if error.sqlState == "55P03" { return CarefulAnswer(leftSome: true, nextChance: .milliseconds(50)) }
            throw error
        } catch {
            throw PostgresError(.cancelled, operation: "jobworker:claim_careful", message: "cancelled")
        }
    }

    private static func carefulAnswer(_ rows: Rows) throws(PostgresError) -> CarefulAnswer {
        guard let first = rows.first else {
            throw PostgresError(.malformed, operation: "jobworker:claim_careful", message: "the statement gave no row")
        }
        let isEmpty = try first.decodeIfPresent("id", as: UUID.self) == nil
        return CarefulAnswer(
            claimed: isEmpty ? [] : try claimedJobs(rows), leftSome: try first.decode("left_some"),
            nextChance: try first.decodeIfPresent("next_chance", as: Double.self).map { .seconds($0) })
    }

    // MARK: The statement

    private func carefulClaim(
        _ request: ClaimRequest, named: [ClaimRequest.QueueShare], others: Int, locked: [String]
    ) -> Statement {
        """
        /* jobworker:claim_careful */
        WITH RECURSIVE \(JobStore.everyLane(named: named, others: others)),
        rules AS MATERIALIZED (
            SELECT shares.name, shares.is_other, coalesce(queue.weight, 1) AS weight,
                   extract(epoch FROM queue.ageing)::float8 AS ageing, coalesce(queue.fair, false) AS is_fair,
                   coalesce(queue.fair, false) OR any_limit.is_set AS takes_turns,
                   queue.max_running IS NOT NULL AS is_capped,
                   CASE WHEN queue.max_running IS NULL THEN least(shares.free, \(request.limit))
                        ELSE least(shares.free, \(request.limit), greatest(0, queue.max_running - (
                            SELECT count(*)::int FROM public.jobs
                            WHERE (jobs.status = 'processing' OR jobs.lease_open)
                              AND coalesce(jobs.job_queue, 'default') = shares.name))) END AS free
            FROM shares
            CROSS JOIN (SELECT EXISTS (SELECT FROM public.job_limits) AS is_set) AS any_limit
            LEFT JOIN public.job_queues AS queue ON queue.name = shares.name
            WHERE queue.paused_at IS NULL
              -- What has got a cap since the locks were taken is for the next claim.
              AND NOT EXISTS (SELECT FROM jobworker.held_queues AS held
                              WHERE held.is_counted AND (held.name = shares.name OR held.name = '*')
                                AND held.name <> ALL (\(locked)))
        ),
        \(JobStore.inLine(request)),
        \(JobStore.inTurn(request)),
        candidates AS MATERIALIZED (
            SELECT ranked.*,
                   row_number() OVER (PARTITION BY queue ORDER BY round, entry, effective DESC, due_at, id) AS place
            FROM (SELECT *, NULL::bigint AS round, NULL::bigint AS entry FROM in_line
                  UNION ALL SELECT * FROM in_turn) AS ranked
        ),
        -- Only what is about to be taken is locked.
        held AS MATERIALIZED (
            SELECT jobs.id FROM public.jobs
            WHERE jobs.id = ANY (ARRAY(SELECT candidates.id FROM candidates JOIN rules ON rules.name = candidates.queue
                                       WHERE candidates.place <= rules.free + \(JobStore.spare)))
              AND jobs.status = 'pending'
            FOR UPDATE OF jobs SKIP LOCKED
        ),
        \(JobStore.picking(request, others: others)),
        \(starting(request, JobStore.placeLeft)),
        \(JobStore.spending)
        SELECT told.*, claimed_jobs.* FROM (\(JobStore.telling)) AS told LEFT JOIN claimed_jobs ON true
        """
    }

    /// Grows by one for each `ageing` that the job has been due.
    private static func effective(_ urgency: Fragment, due: Fragment) -> Fragment {
        """
        (\(urgency) + CASE WHEN rules.ageing IS NULL THEN 0
                           ELSE floor(extract(epoch FROM now() - \(due))::float8 / rules.ageing) END)
        """
    }

    /// The table `in_line`: of queues where nobody takes turns, the first jobs of each priority.
    private static func inLine(_ request: ClaimRequest) -> Fragment {
        """
        in_line AS MATERIALIZED (
            SELECT found.id, found.is_suspect, rules.is_other, found.urgency, found.effective, found.due_at,
                   rules.name AS queue, found.workspace_id, found.job_type
            FROM rules CROSS JOIN LATERAL (
                SELECT first.* FROM (
                    SELECT lanes.urgency FROM lanes WHERE lanes.queue = rules.name ORDER BY lanes.urgency DESC
                ) AS lane
                CROSS JOIN LATERAL (
                    SELECT jobs.id, jobs.worker_deaths > 0 AS is_suspect, lane.urgency, jobs.workspace_id, jobs.job_type,
                           greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at,
                           \(effective(
                               "lane.urgency", due: "greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at)"))
                               AS effective
                    FROM public.jobs
                    \(eligible(
                        request, queue: "rules.name", urgency: "lane.urgency",
                        from: "('-infinity'::timestamptz, '00000000-0000-0000-0000-000000000000'::uuid)"))
                    \(inOrder)
                    LIMIT rules.free + \(spare)
                ) AS first
                -- Those of a low priority that have waited for long may come first.
                LIMIT CASE WHEN rules.ageing IS NULL THEN rules.free + \(spare) END
            ) AS found
            WHERE NOT rules.takes_turns AND rules.free > 0
        )
        """
    }

    /// The table `in_turn`, and what it needs: `turn_lanes`, `pairs`, `fitting`, `room`, `allowed`.
    private static func inTurn(_ request: ClaimRequest) -> Fragment {
        """
        -- Workspace, type and priority: one index probe each, from behind whose turn was the last, once around.
        turn_lanes (queue, last, workspace_id, job_type, rank, lap, seen, is_found) AS (
            SELECT rules.name, coalesce(turn.workspace_id, \(nobody)), coalesce(turn.workspace_id, \(nobody)), '', -100, 0, 0, false
            FROM rules LEFT JOIN jobworker.queue_turns AS turn ON turn.queue = rules.name
            WHERE rules.takes_turns AND rules.free > 0
            UNION ALL
            SELECT before.queue, before.last, coalesce(next.workspace_id, \(nobody)), coalesce(next.job_type, ''),
                   coalesce(next.rank, -100), CASE WHEN next.workspace_id IS NULL THEN 1 ELSE before.lap END,
                   before.seen + 1, next.workspace_id IS NOT NULL
            FROM turn_lanes AS before
            LEFT JOIN LATERAL (
                SELECT jobs.workspace_id, jobs.job_type::text AS job_type, -coalesce(jobs.priority, 0) AS rank
                FROM public.jobs
                WHERE jobs.status = 'pending' AND jobs.takes_turns
                  AND coalesce(jobs.job_queue, 'default') = before.queue
                  AND (jobs.workspace_id, jobs.job_type, -coalesce(jobs.priority, 0))
                      > (before.workspace_id, before.job_type, before.rank)
                -- The queue, too, though it is one and the same: see inOrder.
                ORDER BY coalesce(jobs.job_queue, 'default'), jobs.workspace_id, jobs.job_type,
                         -coalesce(jobs.priority, 0)
                LIMIT 1
            ) AS next ON true
            WHERE before.seen < \(turnLanesMax)
              AND (next.workspace_id IS NOT NULL OR before.lap = 0)
              AND NOT (before.lap = 1 AND next.workspace_id >= before.last)
        ),
        pairs AS MATERIALIZED (
            SELECT DISTINCT workspace_id, job_type FROM turn_lanes
            WHERE is_found AND job_type = ANY (\(request.jobTypes))
        ),
        -- Each of them with each limit that it falls under.
        fitting AS MATERIALIZED (
            SELECT pairs.workspace_id, pairs.job_type, job_limits.name,
                   CASE WHEN job_limits.each_workspace THEN pairs.workspace_id ELSE \(nobody) END AS counted_for
            FROM pairs JOIN public.job_limits
              ON coalesce(job_limits.job_type = pairs.job_type, true)
             AND coalesce(job_limits.workspace_id = pairs.workspace_id, true)
        ),
        running AS MATERIALIZED (
            SELECT workspace_id, job_type, count(*) AS jobs FROM public.jobs
            WHERE status = 'processing' OR lease_open GROUP BY workspace_id, job_type
        ),
        room AS MATERIALIZED (
            SELECT counted.name, counted.counted_for, job_limits.rate, speed.per_second, bucket.tokens,
                   least(
                       CASE WHEN job_limits.max_running IS NOT NULL THEN greatest(0, job_limits.max_running - (
                           SELECT coalesce(sum(running.jobs), 0) FROM running
                           WHERE coalesce(job_limits.job_type = running.job_type, true)
                             AND coalesce(job_limits.workspace_id = running.workspace_id, true)
                             AND (NOT job_limits.each_workspace OR running.workspace_id = counted.counted_for))) END,
                       floor(bucket.tokens + 1e-6)) AS room
            FROM (SELECT DISTINCT name, counted_for FROM fitting) AS counted
            JOIN public.job_limits USING (name)
            LEFT JOIN jobworker.limit_tokens AS spent
              ON spent.limit_name = counted.name AND spent.workspace_id = counted.counted_for
            CROSS JOIN LATERAL (
                SELECT job_limits.rate / extract(epoch FROM job_limits.period)::float8 AS per_second) AS speed
            CROSS JOIN LATERAL (
                SELECT coalesce(job_limits.burst, greatest(1, ceil(speed.per_second))) AS size) AS most
            CROSS JOIN LATERAL (
                SELECT CASE WHEN job_limits.rate IS NOT NULL THEN least(most.size, coalesce(
                    spent.tokens + greatest(0, extract(epoch FROM statement_timestamp() - spent.counted_at)::float8)
                                   * speed.per_second,
                    most.size)) END AS tokens) AS bucket
        ),
        -- How many of each may start; null for any number.
        allowed AS MATERIALIZED (
            SELECT pairs.workspace_id, pairs.job_type, min(room.room)::int AS jobs
            FROM pairs LEFT JOIN fitting USING (workspace_id, job_type) LEFT JOIN room USING (name, counted_for)
            GROUP BY pairs.workspace_id, pairs.job_type
        ),
        heads AS MATERIALIZED (
            SELECT rules.name AS queue, turn_lanes.workspace_id, turn_lanes.job_type, turn_lanes.rank, allowed.jobs AS allowed,
                   CASE WHEN rules.is_fair
                        THEN dense_rank() OVER (PARTITION BY rules.name ORDER BY
                            turn_lanes.workspace_id = turn_lanes.last, turn_lanes.lap, turn_lanes.workspace_id)
                        ELSE row_number() OVER (PARTITION BY rules.name ORDER BY
                            \(effective("-turn_lanes.rank", due: "head.due_at")) DESC, head.due_at) END AS entry
            FROM turn_lanes JOIN rules ON rules.name = turn_lanes.queue
            JOIN allowed USING (workspace_id, job_type)
            CROSS JOIN LATERAL (
                SELECT greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
                FROM public.jobs
                \(JobStore.eligibleInTurn(request, "turn_lanes"))
                LIMIT 1
            ) AS head
            WHERE turn_lanes.is_found AND coalesce(allowed.jobs, 1) > 0
        ),
        in_turn AS MATERIALIZED (
            SELECT found.id, found.is_suspect, rules.is_other, -heads.rank AS urgency, found.effective, found.due_at,
                   heads.queue, heads.workspace_id, heads.job_type,
                   CASE WHEN rules.is_fair THEN row_number() OVER (
                       PARTITION BY heads.queue, heads.workspace_id ORDER BY found.effective DESC, found.due_at, found.id)
                       END AS round,
                   CASE WHEN rules.is_fair THEN heads.entry END AS entry
            FROM rules
            JOIN heads ON heads.queue = rules.name AND heads.entry <= rules.free + \(spare)
            CROSS JOIN LATERAL (
                SELECT jobs.id, jobs.worker_deaths > 0 AS is_suspect,
                       greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at,
                       \(effective(
                           "-heads.rank", due: "greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at)"))
                           AS effective
                FROM public.jobs
                \(JobStore.eligibleInTurn(request, "heads"))
                LIMIT least(heads.allowed, rules.free + \(spare))
            ) AS found
        )
        """
    }

    private static let nobody: Fragment = "'00000000-0000-0000-0000-000000000000'::uuid"

    /// Which jobs of a workspace, type and priority may be claimed, in order; in the index's words.
    private static func eligibleInTurn(_ request: ClaimRequest, _ lane: String) -> Fragment {
        let lane = Fragment(stringLiteral: lane)
        return """
            WHERE jobs.status = 'pending' AND jobs.takes_turns
              AND coalesce(jobs.job_queue, 'default') = \(lane).queue
              AND jobs.workspace_id = \(lane).workspace_id
              AND jobs.job_type = \(lane).job_type
              AND (-coalesce(jobs.priority, 0)) = \(lane).rank
              AND greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) <= now()
              AND coalesce(jobs.attempts, 0) < coalesce(jobs.max_attempts, 5)
              AND (jobs.worker_deaths = 0 OR \(request.takesSuspect))
              AND (NOT jobs.lease_open OR jobs.worker_heartbeat_at < now() - \(request.staleAfter))
            ORDER BY coalesce(jobs.job_queue, 'default'), jobs.workspace_id, jobs.job_type, (-coalesce(jobs.priority, 0)),
                     greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at), jobs.id
            """
    }

    /// The table `picked`, and what it needs.
    private static func picking(_ request: ClaimRequest, others: Int) -> Fragment {
        """
        -- Of each queue no more than it may have.
        within AS MATERIALIZED (
            SELECT counted.* FROM (
                SELECT candidates.*, rules.free, rules.weight,
                       row_number() OVER (PARTITION BY candidates.queue ORDER BY candidates.place) AS count
                FROM candidates JOIN held USING (id) JOIN rules ON rules.name = candidates.queue
                -- One suspect at a time: if this process dies too, it is the culprit.
                WHERE NOT candidates.is_suspect
                   OR candidates.id = (SELECT id FROM candidates JOIN held USING (id) WHERE is_suspect
                                       ORDER BY effective DESC, due_at, id LIMIT 1)
            ) AS counted
            WHERE counted.count <= counted.free
        ),
        -- Of all queues together, each in its own order: the most urgent first, or by weights. With these each queue has
        -- its arrivals as if by chance, the more often the heavier it is; so the lightest has some, too.
        due AS MATERIALIZED (
            SELECT merged.*, row_number() OVER (ORDER BY
                       CASE WHEN EXISTS (SELECT FROM public.job_queues WHERE job_queues.weight <> 1) THEN merged.arrival END,
                       merged.lowest DESC, merged.latest, merged.queue, merged.place) AS turn
            FROM (SELECT within.*,
                         sum(-ln(1 - random()) / weight) OVER so_far AS arrival,
                         min(effective) OVER so_far AS lowest, max(due_at) OVER so_far AS latest
                  FROM within WINDOW so_far AS (PARTITION BY queue ORDER BY place)) AS merged
        ),
        -- Of each limit no more than it has room for.
        too_many AS (
            SELECT id FROM (
                SELECT due.id, room.room, count(*) OVER (PARTITION BY name, counted_for ORDER BY due.turn) AS count
                FROM due JOIN fitting USING (workspace_id, job_type) JOIN room USING (name, counted_for)
            ) AS counted
            WHERE count > room
        ),
        picked AS MATERIALIZED (
            SELECT due.* FROM due
            WHERE id NOT IN (SELECT id FROM too_many)
              \(others < request.limit
                  ? """
                  AND (NOT is_other OR id = ANY (ARRAY(SELECT id FROM due WHERE is_other ORDER BY turn LIMIT \(others))))
                  """ as Fragment : "")
            ORDER BY turn
            LIMIT \(request.limit)
        )
        """
    }

    /// A run that counts somewhere tells those who wait when it ends.
    private static let placeLeft: Fragment = """
        leaves_place = nullif(coalesce(job_queue, 'default') = ANY (ARRAY(SELECT name FROM rules WHERE is_capped))
                              OR EXISTS (SELECT FROM public.job_limits WHERE max_running IS NOT NULL), false),
        """

    /// What the claimed jobs take from the rates, and whose turn was the last.
    private static let spending: Fragment = """
        left_over AS MATERIALIZED (
            SELECT room.name, room.counted_for, room.per_second, room.tokens - count(claimed.id) AS tokens,
                   count(claimed.id) AS starts
            FROM room JOIN fitting USING (name, counted_for)
            LEFT JOIN claimed ON claimed.workspace_id = fitting.workspace_id AND claimed.job_type = fitting.job_type
            WHERE room.rate IS NOT NULL
            GROUP BY room.name, room.counted_for, room.per_second, room.tokens
        ),
        spending AS (
            INSERT INTO jobworker.limit_tokens (limit_name, workspace_id, tokens, counted_at)
            SELECT name, counted_for, tokens, statement_timestamp() FROM left_over WHERE starts > 0
            ON CONFLICT (limit_name, workspace_id) DO UPDATE
            SET tokens = excluded.tokens, counted_at = excluded.counted_at
        ),
        turning AS (
            INSERT INTO jobworker.queue_turns (queue, workspace_id)
            SELECT DISTINCT ON (queue) queue, workspace_id FROM picked WHERE entry IS NOT NULL ORDER BY queue, place DESC
            ON CONFLICT (queue) DO UPDATE SET workspace_id = excluded.workspace_id
        )
        """

    private static let telling: Fragment = """
        SELECT EXISTS (SELECT FROM rules JOIN lanes ON lanes.queue = rules.name
                       WHERE rules.is_capped
                         AND rules.free <= (SELECT count(*) FROM picked WHERE picked.queue = rules.name))
               OR EXISTS (SELECT FROM allowed WHERE jobs = 0) OR EXISTS (SELECT FROM too_many)
               OR EXISTS (SELECT FROM in_turn WHERE id NOT IN (SELECT id FROM picked)) AS left_some,
               (SELECT min((1 - tokens) / per_second) FROM left_over WHERE tokens < 1) AS next_chance
        """
}
