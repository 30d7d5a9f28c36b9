import API
import ControlPlane
import FoundationEssentials
import JobWorker
import Postgres
import Tokens

/// What waits, runs and failed now, from indexes alone: it stays quick however many jobs there are.
struct OverviewFigures: Sendable, Hashable {
    /// A queue, with what is in it.
    struct Queue: Sendable, Hashable {
        var waiting = 0
        var due = 0
        var running = 0
        /// Seconds since its oldest due job has been due.
        var oldestDue: Double?
    }

    var counts: [String: Int] = [:]
    /// By name; of a workspace's view none.
    var queues: [String: Queue] = [:]
    var dueNow = 0
    /// Seconds since the oldest due job has been due.
    var oldestDue: Double?
    /// Whether what waits was counted among the newest jobs alone.
    var isSample = false

    /// Nothing is counted any further.
    static let countMax = 10_000
    static let sampleMax = 5000

    /// Whose jobs somebody may see: conditions for statements.
    enum Scope: Sendable, Hashable {
        case all
        case workspaces([UUID])

        /// - Parameter id: The one workspace that is looked at.
        init(_ caller: Caller, _ id: UUID?, mine: [UUID]) {
            if let id {
                self = .workspaces([id])
            } else if case .member = caller {
                self = .workspaces(mine)
            } else {
                self = .all
            }
        }
    }

    static func read(_ database: APIDatabase, as caller: Caller, _ scope: Scope) async throws -> OverviewFigures {
        try await database.reading(as: caller).transaction { connection in
            switch scope {
            case .all: try all(connection)
            case .workspaces(let ids): try some(ids, connection)
            }
        }
    }

    /// Relies on `jobs_due`, `jobs_processing` and `jobs_by_state`.
    private static func all(_ connection: isolated Connection) throws -> OverviewFigures {
        var figures = OverviewFigures()
        let counted = try connection.execute(
            """
            /* jobworker:dashboard.counts */
            SELECT 'blocked' AS status, count(*) AS count FROM (SELECT FROM public.jobs
                WHERE status = 'blocked' AND \(JobFilter.isNotRunning) LIMIT \(sql: String(countMax + 1))) AS blocked
            UNION ALL SELECT 'failed', count(*) FROM (SELECT FROM public.jobs
                WHERE status = 'failed' AND \(JobFilter.isNotRunning) LIMIT \(sql: String(countMax + 1))) AS failed
            UNION ALL SELECT 'dead_letter', count(*) FROM (SELECT FROM public.jobs
                WHERE status = 'dead_letter' AND \(JobFilter.isNotRunning) LIMIT \(sql: String(countMax + 1))) AS dead
            """)
        for row in counted { figures.counts[try row.decode("status")] = try row.decode("count", as: Int.self) }
        // From one queue and priority to the next, as the index has them, whatever lies between.
        let lanes = try connection.execute(
            """
            /* jobworker:dashboard.lanes */
            WITH RECURSIVE \(JobStore.everyLane(named: [], others: 1))
            SELECT lanes.queue, counted.waiting, counted.due,
                   extract(epoch FROM clock_timestamp() - counted.oldest)::float8 AS age
            FROM (SELECT * FROM lanes LIMIT 500) AS lanes
            -- What is due comes first, so that the limit counts it as well as what waits.
            CROSS JOIN LATERAL (
                SELECT count(*) AS waiting, count(*) FILTER (WHERE due_at <= statement_timestamp()) AS due,
                       min(due_at) FILTER (WHERE due_at <= statement_timestamp()) AS oldest
                FROM (SELECT greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
                      FROM public.jobs
                      WHERE jobs.status = 'pending' AND coalesce(jobs.job_queue, 'default') = lanes.queue
                        AND coalesce(jobs.priority, 0) = lanes.urgency AND jobs.workspace_id IS NOT NULL
                      \(JobStore.inOrder)
                      LIMIT \(sql: String(countMax + 1))) AS first) AS counted
            """)
        for row in lanes {
            let age: Double? = try row.decodeIfPresent("age")
            figures.queues[try row.decode("queue"), default: Queue()].add(
                waiting: try row.decode("waiting"), due: try row.decode("due"), age: age)
        }
        let running = try connection.execute(
            """
            /* jobworker:dashboard.running */
            SELECT coalesce(job_queue, 'default') AS queue, count(*) AS count FROM public.jobs
            WHERE status = 'processing' AND workspace_id IS NOT NULL GROUP BY 1
            """)
        for row in running {
            figures.queues[try row.decode("queue"), default: Queue()].running = try row.decode("count")
        }
        figures.counts["pending"] = figures.queues.values.reduce(0) { $0 + $1.waiting }
        figures.counts["processing"] = figures.queues.values.reduce(0) { $0 + $1.running }
        figures.dueNow = figures.queues.values.reduce(0) { $0 + $1.due }
        figures.oldestDue = figures.queues.values.compactMap(\.oldestDue).max()
        return figures
    }

    /// Relies on `jobs_workspace_newest`, `jobs_workspace_out_of_the_ordinary` and `jobs_processing`.
    private static func some(_ ids: [UUID], _ connection: isolated Connection) throws -> OverviewFigures {
        var figures = OverviewFigures()
        let counted = try connection.execute(
            """
            /* jobworker:dashboard.workspace */
            WITH mine AS (SELECT unnest(\(ids)::uuid[]) AS id), newest AS MATERIALIZED (
                SELECT jobs.status, jobs.due_at FROM mine CROSS JOIN LATERAL (
                    SELECT status, greatest(created_at, scheduled_for, next_retry_at) AS due_at FROM public.jobs
                    WHERE workspace_id = mine.id ORDER BY created_at DESC, id DESC LIMIT \(sql: String(sampleMax))) AS jobs
            ), known AS (
                SELECT rare.status, jobs.count FROM mine
                CROSS JOIN (VALUES ('blocked'), ('failed'), ('dead_letter')) AS rare (status)
                CROSS JOIN LATERAL (SELECT count(*) FROM (
                    SELECT FROM public.jobs WHERE workspace_id = mine.id AND jobs.status = rare.status
                      AND jobs.status IN ('blocked', 'failed', 'dead_letter', 'cancelled')
                    LIMIT \(sql: String(countMax + 1))) AS counted) AS jobs
            )
            SELECT status, sum(count)::bigint AS count, NULL::bigint AS due, NULL::float8 AS age FROM known GROUP BY 1
            UNION ALL
            SELECT 'processing', count(*), NULL, NULL FROM public.jobs
            WHERE status = 'processing' AND workspace_id = ANY (\(ids))
            UNION ALL
            SELECT 'pending', count(*), count(*) FILTER (WHERE due_at <= clock_timestamp()),
                   extract(epoch FROM clock_timestamp() - min(due_at))::float8
            FROM newest WHERE status = 'pending'
            UNION ALL
            SELECT 'sample', count(*), NULL, NULL FROM newest
            """)
        for row in counted { figures.counts[try row.decode("status")] = try row.decode("count", as: Int.self) }
        if let waiting = try counted.first(where: { try $0.decode("status") == "pending" }) {
            figures.dueNow = try waiting.decodeIfPresent("due") ?? 0
            let age: Double? = try waiting.decodeIfPresent("age")
            figures.oldestDue = age.flatMap { $0 >= 0 ? $0 : nil }
        }
        figures.isSample = (figures.counts.removeValue(forKey: "sample") ?? 0) >= sampleMax
        return figures
    }
}

extension OverviewFigures.Queue {
    fileprivate mutating func add(waiting more: Int, due: Int, age: Double?) {
        waiting += more
        self.due += due
        oldestDue = [oldestDue, age].compactMap(\.self).max()
    }
}
