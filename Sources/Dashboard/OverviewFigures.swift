import API
import ControlPlane
import FoundationEssentials
import JobWorker
import Postgres
import Tokens

/// What the overview shows, from indexes alone: it stays quick however many jobs there are.
struct OverviewFigures: Sendable, Hashable {
    struct Minute: Sendable, Hashable {
        let ended: Int
        let failed: Int
        /// Longest wait from due to start, seconds.
        let wait: Double
    }

    var counts: [String: Int] = [:]
    var dueNow = 0
    /// Seconds since the oldest due job has been due.
    var oldestDue: Double?
    var failedLastHour = 0
    var completed = 0
    /// From due to start and from start to end, seconds.
    var waits: [Double] = []
    var runs: [Double] = []
    /// The last hour, the oldest first.
    var minutes: [Minute] = []
    /// Whether only the newest jobs of those that ended were looked at.
    var isSample = false
    static let sampleMax = 5000

    var successRate: Double? {
        let all = completed + failedLastHour
        return all == 0 ? nil : Double(completed) / Double(all)
    }

    private static func endedLastHour(_ workspaceID: UUID?) -> JobFilter {
        var filter = JobFilter()
        filter.workspaceID = workspaceID
        filter.statuses = [.completed, .failed, .deadLetter]
        filter.newerThan = .seconds(3600)
        return filter
    }

    /// Relies on `jobs_due`, `jobs_processing`, `jobs_by_state` and `jobs_workspace_newest`.
    static func read(_ database: APIDatabase, as caller: Caller, workspaceID: UUID?) async throws -> OverviewFigures {
        let here: Fragment = workspaceID.map { "workspace_id = \($0)" } ?? "true"
        let scope: JobScope = if case .member = caller { .memberships } else { .everything }
        let ended = endedLastHour(workspaceID)
        return try await database.reading(as: caller).transaction { connection in
            var figures = OverviewFigures()
            // What waits and what failed may be many: counted to a limit.
            let counted = try connection.execute(
                """
                /* jobworker:dashboard.counts */
                SELECT 'pending' AS status, count(*) AS count FROM (SELECT FROM public.jobs
                    WHERE status = 'pending' AND \(here) LIMIT 10001) AS pending
                UNION ALL SELECT 'processing', count(*) FROM public.jobs WHERE status = 'processing' AND \(here)
                UNION ALL SELECT 'blocked', count(*) FROM (SELECT FROM public.jobs
                    WHERE status = 'blocked' AND \(JobFilter.isNotRunning) AND \(here) LIMIT 10001) AS blocked
                UNION ALL SELECT 'failed', count(*) FROM (SELECT FROM public.jobs
                    WHERE status = 'failed' AND \(JobFilter.isNotRunning) AND \(here) LIMIT 10001) AS failed
                UNION ALL SELECT 'dead_letter', count(*) FROM (SELECT FROM public.jobs
                    WHERE status = 'dead_letter' AND \(JobFilter.isNotRunning) AND \(here) LIMIT 10001) AS dead
                """)
            for row in counted { figures.counts[try row.decode("status")] = try row.decode("count", as: Int.self) }
            let due = try connection.execute(
                """
                /* jobworker:dashboard.due */
                SELECT count(*) AS count, extract(epoch FROM clock_timestamp() - min(due_at))::float8 AS age
                FROM (SELECT greatest(created_at, scheduled_for, next_retry_at) AS due_at FROM public.jobs
                      WHERE status = 'pending' AND \(here) LIMIT 10001) AS pending
                WHERE due_at <= clock_timestamp()
                """)
            figures.dueNow = try due.first?.decode("count") ?? 0
            figures.oldestDue = try due.first?.decodeIfPresent("age")
            let rows = try connection.execute(
                """
                /* jobworker:dashboard.minutes */
                WITH newest AS MATERIALIZED (
                    SELECT status, greatest(created_at, scheduled_for) AS due_at, started_at, completed_at, failed_at
                    \(JobStore.newest(ended, limit: sampleMax, in: scope))
                ), ended AS (
                    SELECT status, coalesce(completed_at, failed_at) AS ended_at,
                           extract(epoch FROM started_at - due_at)::float8 AS wait,
                           extract(epoch FROM coalesce(completed_at, failed_at) - started_at)::float8 AS run
                    FROM newest
                ), minutes AS (
                    SELECT floor(extract(epoch FROM statement_timestamp() - ended_at) / 60)::int AS ago,
                           count(*) AS ended, count(*) FILTER (WHERE status <> 'completed') AS failed,
                           coalesce(max(wait), 0) AS wait
                    FROM ended GROUP BY 1
                )
                SELECT ago, ended, failed, wait, (SELECT count(*) FROM newest) AS sample,
                       (SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY wait) FROM ended) AS waits,
                       (SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY run) FROM ended
                        WHERE status = 'completed') AS runs
                FROM minutes WHERE ago BETWEEN 0 AND 59 ORDER BY ago DESC
                """)
            var minutes = [Minute](repeating: Minute(ended: 0, failed: 0, wait: 0), count: 60)
            for row in rows {
                let ago: Int = try row.decode("ago")
                let minute = Minute(
                    ended: try row.decode("ended"), failed: try row.decode("failed"),
                    wait: max(0, try row.decode("wait")))
                minutes[59 - ago] = minute
                figures.completed += minute.ended - minute.failed
                figures.failedLastHour += minute.failed
                figures.isSample = try row.decode("sample", as: Int.self) >= sampleMax
                figures.waits = try row.decodeIfPresent("waits") ?? []
                figures.runs = try row.decodeIfPresent("runs") ?? []
            }
            figures.minutes = minutes
            return figures
        }
    }
}

/// The figures of the last second, shared by all who may see the same: fifty open pages ask the database once.
actor OverviewCache {
    private struct Key: Hashable {
        let userID: UUID?
        let workspaceID: UUID?
    }

    private static let lifetime = Duration.seconds(1)
    private let database: APIDatabase
    private var entries: [Key: (task: Task<OverviewFigures, any Error>, since: ContinuousClock.Instant)] = [:]

    init(database: APIDatabase) { self.database = database }

    func figures(for caller: Caller, workspaceID: UUID?) async throws -> OverviewFigures {
        let userID: UUID? = if case .member(let member) = caller { member.userID } else { nil }
        let key = Key(userID: userID, workspaceID: workspaceID)
        let now = ContinuousClock.now
        if let entry = entries[key], entry.since > now - Self.lifetime { return try await entry.task.value }
        entries = entries.filter { $0.value.since > now - Self.lifetime }
        let database = database
        let task = Task { try await OverviewFigures.read(database, as: caller, workspaceID: workspaceID) }
        entries[key] = (task, now)
        return try await task.value
    }
}
