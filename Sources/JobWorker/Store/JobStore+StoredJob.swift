import FoundationEssentials
import Postgres

extension JobStore {
    /// One job, by columns that members of a workspace may read as well; `nil` where there is none. Relies on `jobs_pkey`.
    func storedJob(_ id: UUID) async throws(PostgresError) -> StoredJob? {
        let rows = try await pool.query(
            """
            /* jobworker:client.job */
            SELECT id, workspace_id, job_type, status, coalesce(attempts, 0) AS attempts, payload, progress, result,
                   error_message
            FROM public.jobs WHERE id = \(id)
            """)
        guard let row = rows.first else { return nil }
        return StoredJob(
            id: id, workspaceID: try row.decodeIfPresent("workspace_id"), type: try row.decode("job_type"),
            status: JobStatus(rawValue: try row.decodeIfPresent("status") ?? ""), attempts: try row.decode("attempts"),
            payload: try row.decodeIfPresent("payload") ?? JSONText("{}"),
            progress: try row.decodeIfPresent("progress"),
            result: try row.decodeIfPresent("result"), errorMessage: try row.decodeIfPresent("error_message"))
    }
}
