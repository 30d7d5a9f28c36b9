import API
import ControlPlane
import FoundationEssentials
import JobWorker
import Postgres
import Tokens

/// Failed jobs of one type with one error.
struct ErrorGroupRow: Sendable, Hashable {
    /// `nil` for what failed before errors were grouped.
    let id: String?
    let type: String
    let pattern: String
    let count: Int
    let deadLetters: Int
    let workspaces: Int
    let first: Timestamp?
    let last: Timestamp?
    let example: UUID

    /// Of the newest of each state; older failures are not counted.
    static let sampleMax = 5000
    private static let listMax = 100

    /// The largest groups. Relies on `jobs_workspace_out_of_the_ordinary`, or over all workspaces on `jobs_by_state`.
    static func read(
        _ database: APIDatabase, as caller: Caller, _ scope: OverviewFigures.Scope
    ) async throws -> [ErrorGroupRow] {
        let columns: Fragment =
            "jobs.id, jobs.workspace_id, jobs.status, jobs.job_type, jobs.failed_at, jobs.error_group, jobs.error_pattern, jobs.error_message"
        let most = Fragment(stringLiteral: String(sampleMax))
        let newest: Fragment
        switch scope {
        case .all:
            newest = """
                (SELECT \(columns) FROM public.jobs WHERE status = 'failed' AND \(JobFilter.isNotRunning)
                 ORDER BY created_at DESC, id DESC LIMIT \(most))
                UNION ALL
                (SELECT \(columns) FROM public.jobs WHERE status = 'dead_letter' AND \(JobFilter.isNotRunning)
                 ORDER BY created_at DESC, id DESC LIMIT \(most))
                """
        case .workspaces(let ids):
            newest = """
                SELECT found.* FROM unnest(\(ids)::uuid[]) AS mine (id)
                CROSS JOIN (VALUES ('failed'), ('dead_letter')) AS dead (status)
                CROSS JOIN LATERAL (
                    SELECT \(columns) FROM public.jobs
                    WHERE jobs.workspace_id = mine.id AND jobs.status = dead.status
                      AND jobs.status IN ('blocked', 'failed', 'dead_letter', 'cancelled')
                    ORDER BY created_at DESC, id DESC LIMIT \(most)) AS found
                """
        }
        let rows = try await database.reading(as: caller).query(
            """
            /* jobworker:dashboard.error_groups */
            SELECT max(error_group) AS id, job_type, pattern, count(*) AS count,
                   count(*) FILTER (WHERE status = 'dead_letter') AS dead_letters,
                   count(DISTINCT workspace_id) AS workspaces, min(failed_at) AS first, max(failed_at) AS last,
                   (array_agg(id ORDER BY failed_at DESC NULLS LAST))[1] AS example
            FROM (SELECT newest.*, coalesce(error_pattern, jobworker.error_pattern(error_message), '') AS pattern
                  FROM (\(newest)) AS newest) AS dead
            GROUP BY job_type, pattern ORDER BY count(*) DESC, job_type, pattern LIMIT \(sql: String(listMax))
            """)
        return try rows.map { row in
            ErrorGroupRow(
                id: try row.decodeIfPresent("id"), type: try row.decode("job_type"), pattern: try row.decode("pattern"),
                count: try row.decode("count"), deadLetters: try row.decode("dead_letters"),
                workspaces: try row.decode("workspaces"), first: try row.decodeIfPresent("first"),
                last: try row.decodeIfPresent("last"), example: try row.decode("example"))
        }
    }
}
