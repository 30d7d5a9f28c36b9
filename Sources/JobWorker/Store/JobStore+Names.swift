package import FoundationEssentials
package import Postgres

/// Names for the completion of command lines: what a moment suffices to find, complete or not.
extension JobStore {
    /// Queues that are set up, served or waited in. Relies on `jobs_due`.
    package func queueNames() async throws(PostgresError) -> [String] {
        try await names(
            """
            /* jobworker:names.queues */
            WITH RECURSIVE waiting AS (
                (SELECT coalesce(job_queue, 'default') AS name FROM public.jobs WHERE status = 'pending'
                 ORDER BY coalesce(job_queue, 'default') LIMIT 1)
                UNION ALL
                SELECT (SELECT coalesce(job_queue, 'default') FROM public.jobs
                        WHERE status = 'pending' AND coalesce(job_queue, 'default') > waiting.name
                        ORDER BY coalesce(job_queue, 'default') LIMIT 1)
                FROM waiting WHERE waiting.name IS NOT NULL
            )
            SELECT name FROM waiting
            UNION SELECT name FROM public.job_queues
            UNION SELECT unnest(queues) FROM public.job_workers
            """)
    }

    /// Types that are served, and those of a sample of the jobs.
    package func typeNames() async throws(PostgresError) -> [String] {
        let pages = try await pool.query(
            """
            /* jobworker:names.size */
            SELECT greatest(pg_relation_size('public.jobs') / 8192, 1)::float8 AS pages
            """)
        let count = try pages.first?.decode("pages", as: Double.self) ?? 1
        let percent = min(100, 100 * 300 / count)
        return try await names(
            """
            /* jobworker:names.types */
            SELECT unnest(job_types) AS name FROM public.job_workers
            UNION SELECT job_type FROM public.jobs TABLESAMPLE SYSTEM (\(percent))
            """)
    }

    /// Workers of the last day.
    package func workerNames() async throws(PostgresError) -> [String] {
        try await names("/* jobworker:names.workers */ SELECT id AS name FROM public.job_workers")
    }

    package func workspaceIDs() async throws(PostgresError) -> [String] {
        try await names("/* jobworker:names.workspaces */ SELECT id::text AS name FROM public.workspaces LIMIT 1000")
    }

    /// Ids of jobs. Relies on `jobs_pkey`.
    package func jobIDs(_ range: ClosedRange<UUID>, limit: Int) async throws(PostgresError) -> [String] {
        try await names(
            """
            /* jobworker:names.jobs */
            SELECT id::text AS name FROM public.jobs WHERE id BETWEEN \(range.lowerBound) AND \(range.upperBound) ORDER BY id LIMIT \(limit)
            """)
    }

    private func names(_ statement: Statement) async throws(PostgresError) -> [String] {
        var names: Set<String> = []
        for row in try await pool.query(statement) {
            if let name = try row.decodeIfPresent("name", as: String.self), !name.isEmpty { names.insert(name) }
        }
        return names.sorted()
    }
}
