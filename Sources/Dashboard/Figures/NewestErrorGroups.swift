import API
import ControlPlane
import FoundationEssentials
import JobWorker
import Postgres
import Tokens

/// Groups of errors among the newest failures: they are soon read, however many there are.
enum NewestErrorGroups {
    /// Of the newest of each state; older failures are not counted.
    static let sampleMax = 5000
    private static let listMax = 100

    /// The largest groups. Relies on `jobs_workspace_out_of_the_ordinary`, or over all workspaces on `jobs_by_state`.
    static func read(
        _ database: APIDatabase, as caller: Caller, _ scope: OverviewFigures.Scope
    ) async throws -> [ErrorGroup] {
        let most = Fragment(stringLiteral: String(sampleMax))
        let newest: Fragment
        switch scope {
        case .all:
            newest = """
                (SELECT jobs.* FROM public.jobs WHERE status = 'failed' AND \(JobFilter.isNotRunning)
                 ORDER BY created_at DESC, id DESC LIMIT \(most))
                UNION ALL
                (SELECT jobs.* FROM public.jobs WHERE status = 'dead_letter' AND \(JobFilter.isNotRunning)
                 ORDER BY created_at DESC, id DESC LIMIT \(most))
                """
        case .workspaces(let ids):
            newest = """
                SELECT found.* FROM unnest(\(ids)::uuid[]) AS mine (id)
                CROSS JOIN (VALUES ('failed'), ('dead_letter')) AS dead (status)
                CROSS JOIN LATERAL (
                    SELECT jobs.* FROM public.jobs
                    WHERE jobs.workspace_id = mine.id AND jobs.status = dead.status
                      AND jobs.status IN ('blocked', 'failed', 'dead_letter', 'cancelled')
                    ORDER BY created_at DESC, id DESC LIMIT \(most)) AS found
                """
        }
        return try await database.reading(as: caller).query(
            """
            /* jobworker:dashboard.error_groups */
            SELECT counted.*, clock_timestamp() AS as_of
            FROM (\(JobStore.errorGroups(of: newest, limit: listMax))) AS counted
            """
        ).map { try ErrorGroup($0) }
    }
}
