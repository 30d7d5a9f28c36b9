package import FoundationEssentials
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

    /// One priority of one queue, and how far its due jobs were seen already.
    package struct Lane: Sendable, Hashable {
        package let queue: String
        package let priority: Int
        /// Nothing that comes before it is looked at; `nil` for all.
        package let from: Place?

        package init(queue: String, priority: Int, from: Place?) {
            self.queue = queue
            self.priority = priority
            self.from = from
        }
    }

    /// A job's place within its lane.
    package struct Place: Sendable, Hashable, Comparable {
        package let due: Timestamp
        /// The least of all where it is about the time alone.
        package let id: UUID

        package init(due: Timestamp, id: UUID = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))) {
            self.due = due
            self.id = id
        }

        package static func < (left: Place, right: Place) -> Bool {
            (left.due, left.id) < (right.due, right.id)
        }
    }

    package var workerID: String
    package var jobTypes: [String]
    /// How many jobs of each of these types may be among the claimed, at least 1; of others any number.
    package var typesLeft: [String: Int] = [:]
    /// Served types that aren't among `jobTypes`, as no more of their jobs may run here.
    package var fullTypes: Set<String> = []
    /// Types whose jobs must not run where a member of a workspace inserted them.
    package var operatorTypes: [String]
    package var queues: [QueueShare]
    /// Where to look; `nil` for everywhere, which has to be found out first.
    package var lanes: [Lane]?
    /// The one job to claim, wherever it is; then `lanes` doesn't count.
    package var only: UUID?
    /// Free slots in all; 0 claims nothing.
    package var limit: Int
    /// Whether a job whose worker died may be among them.
    package var takesSuspect: Bool
    package var staleAfter: Duration
    /// Payloads larger than this many bytes aren't read; their jobs fail.
    package var payloadLimit = 1 << 20

    package init(
        workerID: String, jobTypes: [String], operatorTypes: [String] = [], queues: [QueueShare], lanes: [Lane]? = nil,
        limit: Int,
        takesSuspect: Bool, staleAfter: Duration
    ) {
        self.workerID = workerID
        self.jobTypes = jobTypes
        self.operatorTypes = operatorTypes
        self.queues = queues
        self.lanes = lanes
        self.limit = limit
        self.takesSuspect = takesSuspect
        self.staleAfter = staleAfter
    }

    /// Whether jobs may have been passed over as no more of their type may be claimed.
    func isFullOfType(_ claimed: [ClaimedJob]) -> Bool {
        guard !typesLeft.isEmpty, !claimed.isEmpty else { return false }
        var left = typesLeft
        for claimed in claimed { left[claimed.job.type]? -= 1 }
        return left.values.contains { $0 <= 0 }
    }
}

/// Where jobs may be, and when there will be more.
package struct LaneSurvey: Sendable, Hashable {
    /// Those that hold pending jobs, due or not.
    package var lanes: [ClaimRequest.Lane] = []
    /// Queues that only the careful claim may take jobs from; `*` stands for all.
    package var ruledQueues: Set<String> = []
    /// When the next job of the lanes is due that isn't yet.
    package var nextDue: Timestamp?
    package let now: Timestamp
}

extension JobStore {
    /// Takes due jobs of queues that have no rules: by priority, then by the time they became due, then by id.
    ///
    /// For queues with rules see `claimCarefully`. Relies on `jobs_due`. The rows are picked by `id = ANY(ARRAY(…))`:
    /// joined, a generic plan would read the whole table.
    /// - Returns: What is claimed, in the order in which it is to start. All of it must run.
    package func claim(_ request: ClaimRequest) async throws(PostgresError) -> [ClaimedJob] {
        guard request.limit > 0, !request.jobTypes.isEmpty else { return [] }
        if let only = request.only { return try await claim(only, request) }
        guard request.lanes?.isEmpty != true else { return [] }
        let rows = try await pool.query(
            """
            /* jobworker:claim */
            WITH RECURSIVE \(claiming(request))
            SELECT * FROM claimed_jobs
            """)
        return try JobStore.claimedJobs(rows)
    }

    /// Takes one job that was announced, if it may start: half of the work of a look at its lane. Relies on `jobs_pkey`.
    private func claim(_ id: UUID, _ request: ClaimRequest) async throws(PostgresError) -> [ClaimedJob] {
        let served = request.queues.filter { $0.free > 0 }.map(\.name)
        let excluded = request.queues.filter { $0.free <= 0 }.map(\.name)
        // What needn't be asked is left out: each array costs its reading.
        let isServed: Fragment =
            if !served.contains("*") {
                "AND coalesce(jobs.job_queue, 'default') = ANY (\(served))"
            } else if !excluded.isEmpty {
                "AND coalesce(jobs.job_queue, 'default') <> ALL (\(excluded))"
            } else {
                ""
            }
        // Its columns have names that the application's own columns won't have: the update's stand beside them.
        let picked: Fragment = """
            picked AS MATERIALIZED (
                SELECT greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS picked_due_at,
                       jobs.payload::text AS picked_payload
                FROM public.jobs
                WHERE jobs.id = \(id) \(isServed)
                  AND \(JobStore.isClaimable(request))
                  AND jobs.worker_deaths = 0
                  AND NOT EXISTS (SELECT FROM jobworker.held_queues
                                  WHERE held_queues.name = coalesce(jobs.job_queue, 'default') OR held_queues.name = '*')
                FOR UPDATE OF jobs SKIP LOCKED
            )
            """
        let claimed: Fragment = """
            UPDATE public.jobs SET \(JobStore.start(request)) FROM picked WHERE jobs.id = \(id)
            RETURNING \(JobStore.startedColumns), picked_due_at AS due_at, false AS is_suspect,
                CASE WHEN octet_length(picked_payload) <= \(request.payloadLimit) THEN picked_payload END AS payload,
                octet_length(picked_payload) AS payload_bytes, \(JobStore.refusal(request)) AS is_refused
            """
        let statement: Fragment =
            loggedLevels.contains("debug")
            ? "WITH \(picked), claimed AS (\(claimed)), \(JobStore.startRows) SELECT * FROM claimed"
            : "WITH \(picked) \(claimed)"
        let rows = try await pool.query("/* jobworker:claim.one */ \(statement)")
        return try JobStore.claimedJobs(rows)
    }

    /// Where there are pending jobs, due or not, and when the next one is due: two index probes for each queue and
    /// priority. Relies on `jobs_due`.
    package func lanes(of queues: [ClaimRequest.QueueShare]) async throws(PostgresError) -> LaneSurvey {
        let rows = try await pool.query(
            """
            /* jobworker:lanes */
            WITH RECURSIVE \(JobStore.everyLane(
                named: queues.filter { $0.name != "*" }, others: queues.first { $0.name == "*" }?.free ?? 0))
            SELECT clock_timestamp() AS now, \(JobStore.laneColumns), \(JobStore.ruledQueues) AS ruled_queues,
                   \(JobStore.nextDue) AS next_due
            """)
        guard let row = rows.first else {
            throw PostgresError(.malformed, operation: "jobworker:lanes", message: "the statement gave no row")
        }
        return LaneSurvey(
            lanes: try JobStore.lanes(row), ruledQueues: Set(try row.decode("ruled_queues", as: [String].self)),
            nextDue: JobStore.nextTime(row, "next_due", unreadable: nil), now: try row.decode("now"))
    }

    /// The table `lanes` as two columns.
    static let laneColumns: Fragment = """
        ARRAY(SELECT queue FROM lanes ORDER BY queue, urgency) AS lane_queues,
        ARRAY(SELECT urgency FROM lanes ORDER BY queue, urgency) AS lane_priorities
        """

    static func lanes(_ row: Row) throws(PostgresError) -> [ClaimRequest.Lane] {
        let (queues, priorities): ([String], [Int]) = (
            try row.decode("lane_queues"), try row.decode("lane_priorities")
        )
        return zip(queues, priorities).map { ClaimRequest.Lane(queue: $0, priority: $1, from: nil) }
    }

    /// When the next job of `lanes` is due that isn't yet: the first that lies behind the due ones of each, one index probe.
    /// Relies on `jobs_due`.
    static let nextDue: Fragment = """
        (SELECT min(upcoming.due_at) FROM lanes CROSS JOIN LATERAL (
             SELECT greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
             FROM public.jobs
             WHERE jobs.status = 'pending'
               AND coalesce(jobs.job_queue, 'default') = lanes.queue
               AND coalesce(jobs.priority, 0) = lanes.urgency
               AND greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) > now()
             \(inOrder)
             LIMIT 1
         ) AS upcoming)
        """

    /// Queues whose rules only the careful claim knows, as an array.
    static let ruledQueues: Fragment = "ARRAY(SELECT name FROM jobworker.held_queues WHERE has_rules)"

    /// The tables `due`, `picked`, `claimed`, `claimed_jobs` of a claim, and what they need; `lanes` where it has to
    /// look for them.
    func claiming(_ request: ClaimRequest) -> Fragment {
        let named = request.queues.filter { $0.name != "*" }
        let others = request.queues.first { $0.name == "*" }?.free ?? 0
        let dueJobs =
            request.lanes?.count == 1
            ? JobStore.dueOfOneLane(request, named: named, others: others)
            : JobStore.dueOfLanes(request, named: named, others: others)
        let allowed: Fragment = """
            -- One suspect at a time: if this process dies too, it is the culprit.
            WHERE (NOT is_suspect
                   OR id = (SELECT id FROM due WHERE is_suspect ORDER BY urgency DESC, due_at, id LIMIT 1))
              \(JobStore.othersCap(request, others: others))
            """
        return """
            \(dueJobs),
            \(JobStore.fitting(request, allowed)),
            picked AS MATERIALIZED (
                SELECT * FROM fitting ORDER BY urgency DESC, due_at, id LIMIT \(request.limit)
            ),
            \(starting(request))
            """
    }

    /// The tables `claimed` and `claimed_jobs`, of what was `picked`.
    /// - Parameter changes: What else is set in the rows; ends with a comma.
    func starting(_ request: ClaimRequest, _ changes: Fragment = "") -> Fragment {
        let rows: Fragment = loggedLevels.contains("debug") ? "\(JobStore.startRows)," : ""
        return """
            claimed AS (
                UPDATE public.jobs SET \(changes) \(JobStore.start(request))
                WHERE id = ANY (ARRAY(SELECT id FROM picked))
                RETURNING \(JobStore.startedColumns), payload::text AS text, \(JobStore.refusal(request)) AS is_refused
            ),
            \(rows)
            claimed_jobs AS (
                SELECT claimed.id, claimed.workspace_id, claimed.job_type, claimed.queue, priority, attempts, max_attempts,
                       timeout_seconds, created_at, started_at, lease_token, picked.due_at, picked.is_suspect, has_parents,
                       CASE WHEN octet_length(text) <= \(request.payloadLimit) THEN text END AS payload,
                       octet_length(text) AS payload_bytes, is_refused
                FROM claimed JOIN picked USING (id)
            )
            """
    }

    /// What is set in the row of a job that starts.
    private static func start(_ request: ClaimRequest) -> Fragment {
        """
        status = 'processing', attempts = coalesce(attempts, 0) + 1, worker_id = \(request.workerID),
        lease_token = nextval('jobworker.lease_tokens'), lease_open = true, started_at = clock_timestamp(),
        worker_heartbeat_at = clock_timestamp(), next_retry_at = NULL, progress = '{}', result = NULL,
        completed_at = NULL, failed_at = NULL
        """
    }

    /// Of the row of a job that has started; without what of its payload is read.
    private static let startedColumns: Fragment = """
        id, workspace_id, job_type, coalesce(job_queue, 'default') AS queue, coalesce(priority, 0) AS priority, attempts,
        coalesce(max_attempts, 5) AS max_attempts, timeout_seconds, created_at, started_at, lease_token, worker_id,
        blockers IS NOT NULL AS has_parents
        """

    /// Whether a job of a type for operators came from a member; asked only where there are such types.
    private static func refusal(_ request: ClaimRequest) -> Fragment {
        guard !request.operatorTypes.isEmpty else { return "false" }
        return "(inserted_by IN ('authenticated', 'anon') AND job_type = ANY (\(request.operatorTypes))) IS TRUE"
    }

    /// The table `due`, of one priority of one queue: the usual case, with as little to set up as can be.
    private static func dueOfOneLane(
        _ request: ClaimRequest, named: [ClaimRequest.QueueShare], others: Int
    ) -> Fragment {
        guard let lane = request.lanes?.first else { return "due AS (SELECT)" }
        let own = named.first { $0.name == lane.queue }
        let from = lane.from ?? ClaimRequest.Place(due: .distantPast)
        let free = min(own?.free ?? others, request.limit)
        return """
            due AS MATERIALIZED (
                SELECT jobs.id, \(typeColumn(request)) jobs.worker_deaths > 0 AS is_suspect, \(own == nil) AS is_other,
                       \(lane.priority) AS urgency,
                       greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
                FROM public.jobs
                \(eligible(request, queue: "\(lane.queue)", urgency: "\(lane.priority)", from: "(\(from.due), \(from.id))"))
                  AND NOT EXISTS (SELECT FROM jobworker.held_queues
                                  WHERE held_queues.name = \(lane.queue) OR held_queues.name = '*')
                \(inOrder)
                LIMIT \(free)
                FOR UPDATE OF jobs SKIP LOCKED
            )
            """
    }

    /// The table `due`, and what it needs: `shares`, `lanes`, `wanted`.
    private static func dueOfLanes(
        _ request: ClaimRequest, named: [ClaimRequest.QueueShare], others: Int
    ) -> Fragment {
        let whole = eligible(
            request, queue: "wanted.name", urgency: "lane.urgency", from: "(lane.due_from, lane.id_from)")
        return """
            \(lanes(request, named: named, others: others)),
            wanted AS (
                SELECT shares.name, shares.is_other, least(shares.free, \(request.limit)) AS free
                FROM shares
                WHERE NOT EXISTS (SELECT FROM jobworker.held_queues
                                  WHERE held_queues.name = shares.name OR held_queues.name = '*')
            ),
            due AS MATERIALIZED (
                SELECT candidate.* FROM wanted CROSS JOIN LATERAL (
                    SELECT found.* FROM (
                        SELECT lanes.urgency, lanes.due_from, lanes.id_from FROM lanes
                        WHERE lanes.queue = wanted.name ORDER BY lanes.urgency DESC
                    ) AS lane
                    -- A nested loop in the lanes' order, which LIMIT ends: few rows are locked that aren't taken.
                    -- Who passes over one of them meanwhile looks again, see `PollPlan.looked`.
                    CROSS JOIN LATERAL (
                        SELECT jobs.id, \(typeColumn(request)) jobs.worker_deaths > 0 AS is_suspect, wanted.is_other,
                               lane.urgency,
                               greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
                        FROM public.jobs
                        \(whole)
                        \(inOrder)
                        LIMIT wanted.free
                        FOR UPDATE OF jobs SKIP LOCKED
                    ) AS found
                    LIMIT wanted.free
                ) AS candidate
            )
            """
    }

    /// Which jobs of a lane may be claimed. Those not due yet lie behind the due ones, so nobody walks past them.
    static func eligible(
        _ request: ClaimRequest, queue: Fragment, urgency: Fragment, from: Fragment
    ) -> Fragment {
        """
        WHERE coalesce(jobs.job_queue, 'default') = \(queue)
          AND coalesce(jobs.priority, 0) = \(urgency)
          AND (greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at), jobs.id) >= \(from)
          AND \(isClaimable(request))
          AND (jobs.worker_deaths = 0 OR \(request.takesSuspect))
        """
    }

    /// Whether a job may start now, as far as its own row tells.
    private static func isClaimable(_ request: ClaimRequest) -> Fragment {
        """
        jobs.status = 'pending'
          AND greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) <= now()
          AND jobs.job_type = ANY (\(request.jobTypes))
          AND coalesce(jobs.attempts, 0) < coalesce(jobs.max_attempts, 5)
          AND jobs.workspace_id IS NOT NULL
          -- An earlier run of it, cancelled and then retried, may not have ended yet.
          AND (NOT jobs.lease_open OR jobs.worker_heartbeat_at < now() - \(request.staleAfter))
        """
    }

    /// Queue and priority are one and the same in a lane; but without them a role under row policies gets all due rows
    /// sorted, as the planner doesn't see then that the index has them in order.
    package static let inOrder: Fragment = """
        ORDER BY coalesce(jobs.job_queue, 'default'), coalesce(jobs.priority, 0) DESC,
                 greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at), jobs.id
        """

    private static let startRows: Fragment = """
        claim_rows AS (
            INSERT INTO public.job_logs (job_id, log_level, message, metadata)
            SELECT id, 'debug', format('Attempt %s of %s started', attempts, max_attempts),
                   jsonb_build_object('attempt', attempts, 'worker_id', worker_id)
            FROM claimed
        )
        """

    /// The tables `shares`: the queues to look at, each with its free slots; and `lanes`: their priorities.
    private static func lanes(_ request: ClaimRequest, named: [ClaimRequest.QueueShare], others: Int) -> Fragment {
        if let lanes = request.lanes {
            let free = Dictionary(named.map { ($0.name, $0.free) }) { first, _ in first }
            let queues = Set(lanes.map(\.queue)).sorted()
            // Rows of their own the planner counts. Of an array it believes that it holds ten, and PostgreSQL then finds
            // it better to plan each claim anew, which takes longer than the claim does.
            let given: Fragment =
                queues.count <= 8
                ? .joined(
                    queues.map { "SELECT \($0), \(free[$0] ?? others), \(free[$0] == nil)" }, separator: " UNION ALL ")
                : "SELECT * FROM unnest(\(queues), \(queues.map { free[$0] ?? others }), \(queues.map { free[$0] == nil }))"
            return """
                shares (name, free, is_other) AS (\(given)),
                lanes AS (
                    SELECT given.queue, given.urgency, coalesce(given.due_from, '-infinity') AS due_from,
                           coalesce(given.id_from, '00000000-0000-0000-0000-000000000000') AS id_from
                    FROM unnest(\(lanes.map(\.queue)), \(lanes.map(\.priority)),
                                \(NullableArray(lanes.map(\.from?.due))), \(NullableArray(lanes.map(\.from?.id))))
                        AS given (queue, urgency, due_from, id_from)
                )
                """
        }
        return everyLane(named: named, others: others)
    }

    /// The same two tables, of everything: of all queues where `others` is more than 0.
    package static func everyLane(named: [ClaimRequest.QueueShare], others: Int) -> Fragment {
        """
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
        shares (name, free, is_other) AS (
            SELECT given.*, false FROM unnest(\(named.map(\.name)), \(named.map(\.free))) AS given
            UNION ALL
            SELECT every_queue.name, \(others), true FROM every_queue
            WHERE every_queue.name IS NOT NULL AND every_queue.name <> ALL (\(named.map(\.name)))
        ),
        -- The priorities of each that hold anything, one index probe each.
        every_lane (queue, urgency) AS (
            SELECT shares.name,
                   (SELECT coalesce(jobs.priority, 0) FROM public.jobs
                    WHERE jobs.status = 'pending' AND coalesce(jobs.job_queue, 'default') = shares.name
                    ORDER BY coalesce(jobs.job_queue, 'default'), coalesce(jobs.priority, 0) DESC LIMIT 1)
            FROM shares
            UNION ALL
            SELECT every_lane.queue,
                   (SELECT coalesce(jobs.priority, 0) FROM public.jobs
                    WHERE jobs.status = 'pending' AND coalesce(jobs.job_queue, 'default') = every_lane.queue
                      AND coalesce(jobs.priority, 0) < every_lane.urgency
                    ORDER BY coalesce(jobs.job_queue, 'default'), coalesce(jobs.priority, 0) DESC LIMIT 1)
            FROM every_lane WHERE every_lane.urgency IS NOT NULL
        ),
        lanes AS (
            SELECT queue, urgency, '-infinity'::timestamptz AS due_from,
                   '00000000-0000-0000-0000-000000000000'::uuid AS id_from
            FROM every_lane WHERE urgency IS NOT NULL
        )
        """
    }

    /// The queues behind '*' share one cap.
    static func othersCap(_ request: ClaimRequest, others: Int) -> Fragment {
        guard others < request.limit else { return "" }
        return """
            AND (NOT is_other OR id = ANY (ARRAY(
                SELECT id FROM due WHERE is_other ORDER BY urgency DESC, due_at, id LIMIT \(others))))
            """
    }

    /// The table `fitting`: the due jobs that are allowed; of types of which only some more may run, the first so many.
    private static func fitting(_ request: ClaimRequest, _ allowed: Fragment) -> Fragment {
        guard !request.typesLeft.isEmpty else { return "fitting AS (SELECT due.* FROM due \(allowed))" }
        let types = request.typesLeft.keys.sorted()
        let left = types.map { request.typesLeft[$0] ?? 0 }
        // Rows of their own, as in `lanes`.
        let capped: Fragment =
            types.count <= 8
            ? .joined(zip(types, left).map { "SELECT \($0), \($1)" }, separator: " UNION ALL ")
            : "SELECT * FROM unnest(\(types), \(left))"
        return """
            capped (limited_type, free) AS (\(capped)),
            ranked AS (
                SELECT due.*, row_number() OVER (PARTITION BY limited_type ORDER BY urgency DESC, due_at, id) AS place
                FROM due
                \(allowed)
            ),
            fitting AS (
                SELECT ranked.* FROM ranked LEFT JOIN capped USING (limited_type)
                WHERE capped.free IS NULL OR ranked.place <= capped.free
            )
            """
    }

    /// For `fitting`.
    private static func typeColumn(_ request: ClaimRequest) -> Fragment {
        request.typesLeft.isEmpty ? "" : "jobs.job_type::text AS limited_type,"
    }
}
