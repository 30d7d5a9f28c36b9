package import FoundationEssentials
import JobWorker
package import Postgres

/// Reads what an explanation needs: the job and what belongs to it with the rights of whoever asks, then, as the
/// program, what lies around it.
package struct FactReader: Sendable {
    /// Jobs looked at to tell how many come first. More are "at least".
    static let aheadMax = 1000
    /// Parents named.
    static let parentsMax = 10
    private static let enrichmentTypes = ["enrich_account", "enrich_contact"]

    private let audience: JobFacts.Audience
    private let silence: Duration
    private let staleAfter: Duration
    private let usualTimeout: Duration

    /// - Parameters:
    ///   - silence: How long a worker may be silent and still count as alive.
    ///   - staleAfter: After such a silence its jobs are taken back.
    ///   - usualTimeout: Of jobs without a time limit of their own.
    package init(
        for audience: JobFacts.Audience, silence: Duration, staleAfter: Duration, usualTimeout: Duration
    ) {
        self.audience = audience
        self.silence = silence
        self.staleAfter = staleAfter
        self.usualTimeout = usualTimeout
    }

    /// - Parameter connection: Within a transaction. Where it has taken a member's role, it gives it up.
    /// - Returns: `nil` where there is no such job, or it isn't the reader's to see.
    /// - Throws: `PostgresError`.
    package func facts(of id: UUID, _ connection: isolated Connection) throws -> JobFacts? {
        guard var facts = try job(id, connection) else { return nil }
        facts.parents = try parents(of: id, connection)
        facts.lastChange = try lastChange(of: id, connection)
        if audience == .members {
            // From here on nothing is read that the row policies would decide over; what is read is made less below.
            try connection.execute("/* jobworker:why.resume */ SELECT set_config('role', 'none', true)")
        }
        try readSurroundings(&facts, connection)
        if facts.known == .pending { try readRules(&facts, connection) }
        if facts.known == .pending, facts.isDue { facts.ahead = try ahead(of: facts, connection) }
        if audience == .members { facts.leaveOutOthers() }
        return facts
    }

    /// Relies on `jobs_pkey` and `job_logs_job`.
    private func job(_ id: UUID, _ connection: isolated Connection) throws -> JobFacts? {
        let rows = try connection.execute(
            """
            /* jobworker:why.job */
            SELECT workspace_id, job_type, coalesce(job_queue, 'default') AS queue, status,
                   coalesce(attempts, 0) AS attempts, coalesce(max_attempts, 5) AS max_attempts, scheduled_for,
                   next_retry_at, greatest(created_at, scheduled_for, next_retry_at) AS due_at, started_at,
                   completed_at, failed_at, worker_id, worker_heartbeat_at, timeout_seconds,
                   lease_token IS NOT NULL AS has_lease, lease_open, snoozed_since, worker_deaths,
                   left(error_message, 1000) AS error_message, inserted_by, replay_of,
                   (SELECT origin.status FROM public.jobs AS origin WHERE origin.id = jobs.replay_of) AS origin_status,
                   status = 'dead_letter' AND EXISTS (
                       SELECT FROM public.job_logs WHERE job_id = jobs.id
                         AND message = 'Set aside as a dead letter, as its queue has it') AS is_set_aside_by_queue,
                   clock_timestamp() AS as_of
            FROM public.jobs WHERE id = \(id)
            """)
        guard let row = rows.first else { return nil }
        var facts = JobFacts(
            audience, id: id, type: try row.decode("job_type"), status: try row.decodeIfPresent("status"),
            asOf: try row.decode("as_of"))
        facts.workspaceID = try row.decodeIfPresent("workspace_id")
        facts.queue = try row.decode("queue")
        facts.attempts = try row.decode("attempts")
        facts.maxAttempts = try row.decode("max_attempts")
        facts.scheduledFor = try row.decodeIfPresent("scheduled_for")
        facts.nextRetryAt = try row.decodeIfPresent("next_retry_at")
        facts.dueAt = try row.decodeIfPresent("due_at")
        facts.startedAt = try row.decodeIfPresent("started_at")
        facts.completedAt = try row.decodeIfPresent("completed_at")
        facts.failedAt = try row.decodeIfPresent("failed_at")
        facts.workerID = try row.decodeIfPresent("worker_id")
        facts.heartbeatAt = try row.decodeIfPresent("worker_heartbeat_at")
        facts.timeout = try row.decodeIfPresent("timeout_seconds", as: Int.self).map { .seconds($0) }
        facts.hasLease = try row.decode("has_lease")
        facts.leaseIsOpen = try row.decode("lease_open")
        facts.snoozedSince = try row.decodeIfPresent("snoozed_since")
        facts.workerDeaths = try row.decode("worker_deaths")
        facts.errorMessage = try row.decodeIfPresent("error_message")
        facts.insertedBy = try row.decodeIfPresent("inserted_by")
        facts.replayOf = try row.decodeIfPresent("replay_of", as: UUID.self).map {
            JobFacts.Origin(id: $0, status: try row.decodeIfPresent("origin_status"))
        }
        facts.isSetAsideByQueue = try row.decodeIfPresent("is_set_aside_by_queue") ?? false
        facts.staleAfter = staleAfter
        facts.usualTimeout = usualTimeout
        return facts
    }

    /// Relies on the primary key of `job_dependencies`.
    private func parents(of id: UUID, _ connection: isolated Connection) throws -> JobFacts.Parents {
        let rows = try connection.execute(
            """
            /* jobworker:why.parents */
            SELECT parent.id, parent.job_type, parent.status, dependency.on_failure, count(*) OVER () AS open,
                   (SELECT count(*) FROM public.job_dependencies WHERE job_id = \(id)) AS total
            FROM public.job_dependencies AS dependency
            JOIN public.jobs AS parent ON parent.id = dependency.depends_on_job_id
            WHERE dependency.job_id = \(id) AND parent.status IS DISTINCT FROM 'completed'
            ORDER BY parent.created_at, parent.id LIMIT \(Self.parentsMax)
            """)
        var parents = JobFacts.Parents()
        for row in rows {
            parents.count = try row.decode("total")
            parents.openCount = try row.decode("open")
            parents.open.append(
                JobFacts.Parent(
                    id: try row.decode("id"), type: try row.decode("job_type"),
                    status: try row.decodeIfPresent("status"), onFailure: try row.decode("on_failure")))
        }
        return parents
    }

    /// Relies on `job_audit_job`.
    private func lastChange(of id: UUID, _ connection: isolated Connection) throws -> JobFacts.Change? {
        let rows = try connection.execute(
            """
            /* jobworker:why.change */
            SELECT action, actor, created_at, reason FROM public.job_audit
            WHERE job_id = \(id) AND action IN ('job.cancel', 'job.retry', 'job.set_aside')
            ORDER BY id DESC LIMIT 1
            """)
        guard let row = rows.first else { return nil }
        return JobFacts.Change(
            action: try row.decode("action"), actor: try row.decode("actor"), at: try row.decode("created_at"),
            reason: try row.decodeIfPresent("reason"))
    }

    /// Relies on `jobs_processing`.
    private func readSurroundings(_ facts: inout JobFacts, _ connection: isolated Connection) throws {
        let isEnrichment = Self.enrichmentTypes.contains(facts.type)
        let rows = try connection.execute(
            """
            /* jobworker:why.surroundings */
            WITH live AS (
                SELECT id, coalesce(max_concurrent, 0) AS slots, \(facts.type) = ANY (job_types) AS has_type,
                       queues && ARRAY[\(facts.queue), '*'] AS has_queue, \(facts.type) = ANY (operator_types) AS refuses
                FROM public.job_workers
                WHERE stopped_at IS NULL AND seen_at > clock_timestamp() - \(silence)
            ),
            serving AS (SELECT * FROM live WHERE has_type AND has_queue),
            running AS (
                SELECT coalesce(job_queue, 'default') AS queue, worker_id, status FROM public.jobs
                WHERE status = 'processing' OR lease_open
            )
            SELECT (SELECT count(*) FROM live) AS alive, (SELECT count(*) FROM live WHERE has_type) AS serving_type,
                   (SELECT count(*) FROM live WHERE has_queue) AS serving_queue,
                   (SELECT count(*) FROM serving) AS serving, (SELECT coalesce(sum(slots), 0) FROM serving) AS slots,
                   (SELECT count(*) FROM serving WHERE refuses) AS refusing,
                   (SELECT count(*) FROM running WHERE worker_id IN (SELECT id FROM serving)) AS busy,
                   queue.paused_at, queue.paused_by, queue.max_running,
                   (SELECT count(*) FROM running WHERE running.queue = \(facts.queue)) AS running_in_queue,
                   holder.host, holder.stopped_at IS NOT NULL AS holder_stopped,
                   workspace.id IS NOT NULL AS has_workspace, workspace.status AS workspace_status,
                   coalesce(settings.apollo_api_key_configured, false) AS has_key,
                   (SELECT max(blocked_until) FROM public.rate_limits
                    WHERE workspace_id = \(facts.workspaceID) AND starts_with(key, 'apollo:')
                      AND blocked_until > clock_timestamp() AND blocked_reason IS NOT NULL) AS refused_until
            FROM (SELECT) AS one
            LEFT JOIN public.job_queues AS queue ON queue.name = \(facts.queue)
            LEFT JOIN public.job_workers AS holder ON holder.id = \(facts.workerID)
            LEFT JOIN public.workspaces AS workspace ON workspace.id = \(facts.workspaceID)
            LEFT JOIN public.workspace_settings AS settings ON settings.workspace_id = workspace.id
            """)
        guard let row = rows.first else { return }
        facts.workers = JobFacts.Workers(
            alive: try row.decode("alive"), servingType: try row.decode("serving_type"),
            servingQueue: try row.decode("serving_queue"), serving: try row.decode("serving"),
            slots: try row.decode("slots"), busy: try row.decode("busy"), refusingMembers: try row.decode("refusing"))
        if let since: Timestamp = try row.decodeIfPresent("paused_at") {
            facts.pause = JobFacts.Pause(since: since, by: try row.decodeIfPresent("paused_by"))
        }
        if let most: Int = try row.decodeIfPresent("max_running") {
            facts.limit = JobFacts.Limit(
                most: most, isReached: try row.decode("running_in_queue", as: Int.self) >= most)
        }
        if let host: String = try row.decodeIfPresent("host") {
            facts.holder = JobFacts.Holder(host: host, hasStopped: try row.decode("holder_stopped"))
        }
        if isEnrichment, try row.decode("has_workspace") {
            facts.workspace = JobFacts.Workspace(
                status: try row.decodeIfPresent("workspace_status"), hasKey: try row.decode("has_key"),
                refusedUntil: try row.decodeIfPresent("refused_until"))
        }
    }

    /// Relies on `jobs_due`, of which it reads no more than `aheadMax` entries twice, whoever's they are.
    private func ahead(of facts: JobFacts, _ connection: isolated Connection) throws -> JobFacts.Ahead {
        let due: Fragment = "greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at)"
        let columns: Fragment = """
            jobs.workspace_id, jobs.job_type, coalesce(jobs.attempts, 0) < coalesce(jobs.max_attempts, 5) AS may_run,
            \(due) AS due_at
            """
        let lane: Fragment = "jobs.status = 'pending' AND coalesce(jobs.job_queue, 'default') = own.queue"
        let order: Fragment = """
            ORDER BY coalesce(jobs.job_queue, 'default'), coalesce(jobs.priority, 0) DESC, \(due), jobs.id
            LIMIT \(Self.aheadMax)
            """
        let rows = try connection.execute(
            """
            /* jobworker:why.ahead */
            WITH own AS (
                SELECT id, coalesce(job_queue, 'default') AS queue, coalesce(priority, 0) AS urgency,
                       greatest(created_at, scheduled_for, next_retry_at) AS due_at
                FROM public.jobs WHERE id = \(facts.id)
            ),
            seen AS (
                (SELECT \(columns) FROM own, public.jobs
                 WHERE \(lane) AND coalesce(jobs.priority, 0) > own.urgency \(order))
                UNION ALL
                (SELECT \(columns) FROM own, public.jobs
                 WHERE \(lane) AND coalesce(jobs.priority, 0) = own.urgency AND (\(due), jobs.id) < (own.due_at, own.id)
                 \(order))
            ),
            served AS (
                SELECT DISTINCT unnest(job_types) AS job_type FROM public.job_workers
                WHERE stopped_at IS NULL AND seen_at > clock_timestamp() - \(silence)
                  AND queues && ARRAY[\(facts.queue), '*']
            )
            SELECT count(*) AS seen,
                   count(*) FILTER (WHERE due_at <= clock_timestamp() AND may_run AND workspace_id IS NOT NULL
                                      AND job_type IN (SELECT job_type FROM served)
                                      AND (\(audience == .operators) OR workspace_id = \(facts.workspaceID))) AS ahead
            FROM seen
            """)
        guard let row = rows.first else { return JobFacts.Ahead() }
        return JobFacts.Ahead(
            count: try row.decode("ahead"), isAtLeast: try row.decode("seen", as: Int.self) >= Self.aheadMax)
    }
}

extension JobFacts {
    /// Takes out what a member of the workspace isn't to know.
    fileprivate mutating func leaveOutOthers() {
        pause?.by = nil
        limit?.most = nil
        limit?.holders = []
        exhausted = exhausted.map { ExhaustedLimit(name: nil, nextAt: $0.nextAt) }
        rules.sharers = rules.sharers.map { _ in 1 }
        holder = nil
        workerID = nil
        insertedBy = insertedBy == "authenticated" ? insertedBy : nil
        let isFull = workers.busy >= workers.slots
        workers = Workers(
            alive: min(1, workers.alive), servingType: min(1, workers.servingType),
            servingQueue: min(1, workers.servingQueue), serving: min(1, workers.serving),
            slots: min(1, workers.serving),
            busy: isFull ? 1 : 0, refusingMembers: workers.refusingMembers == workers.serving ? 1 : 0)
        // How far it was counted tells of others' jobs.
        ahead.isAtLeast = false
    }
}
