import API
import ControlPlane
import FoundationEssentials
import Postgres
import Tokens

/// What a job waits for, and what waits for it.
struct Relations: Sendable, Hashable {
    struct Relative: Sendable, Hashable {
        let id: UUID
        let name: String?
        let type: String
        let status: String
        let isParent: Bool
    }

    var relatives: [Relative] = []

    /// Of each kind.
    static let relativesMax = 40

    /// The nearest of them, as far as the caller may see them. Relies on `job_dependencies_pkey` and
    /// `job_dependencies_parent`.
    static func read(_ database: APIDatabase, as caller: Caller, of job: UUID) async throws -> Relations {
        let rows = try await database.reading(as: caller).query(
            """
            /* jobworker:dashboard.relations */
            SELECT jobs.id, jobs.workflow_step AS name, jobs.job_type, coalesce(jobs.status, '') AS status, kin.is_parent
            FROM (
                (SELECT depends_on_job_id AS id, true AS is_parent FROM public.job_dependencies
                 WHERE job_id = \(job) LIMIT \(sql: String(relativesMax)))
                UNION ALL
                (SELECT job_id, false FROM public.job_dependencies
                 WHERE depends_on_job_id = \(job) LIMIT \(sql: String(relativesMax)))
            ) AS kin JOIN public.jobs ON jobs.id = kin.id
            ORDER BY jobs.created_at, jobs.id
            """)
        return Relations(
            relatives: try rows.map {
                Relative(
                    id: try $0.decode("id"), name: try $0.decodeIfPresent("name"), type: try $0.decode("job_type"),
                    status: try $0.decode("status"), isParent: try $0.decode("is_parent"))
            })
    }
}
