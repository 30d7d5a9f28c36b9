package import FoundationEssentials
package import Postgres

/// Failed and set-aside jobs of one type that failed in the same way.
package struct ErrorGroup: Sendable, Hashable {
    /// Twelve hexadecimal digits; jobs that failed before there were groups, and can't be changed, have none.
    package let id: String?
    package let jobType: String
    /// The error without what differs from job to job.
    package let pattern: String
    package let count: Int
    /// Of these, how many are set aside.
    package let deadLetters: Int
    package let workspaces: Int
    package let firstFailedAt: Timestamp?
    package let lastFailedAt: Timestamp?
    /// The one that failed last.
    package let exampleID: UUID
    package let asOf: Timestamp

    /// - Parameter row: Of `JobStore.errorGroups`, with `as_of`.
    package init(_ row: Row) throws(PostgresError) {
        id = try row.decodeIfPresent("id")
        jobType = try row.decode("job_type")
        pattern = try row.decode("pattern")
        count = try row.decode("count")
        deadLetters = try row.decode("dead_letters")
        workspaces = try row.decode("workspaces")
        firstFailedAt = try row.decodeIfPresent("first_failed_at")
        lastFailedAt = try row.decodeIfPresent("last_failed_at")
        exampleID = try row.decode("example_id")
        asOf = try row.decode("as_of")
    }
}

extension JobStore {
    /// SELECT of the largest groups, as both command and API list them. Relies on `jobs_error_group` where one group is
    /// meant, else reads what failed by `jobs_by_state`: a few hundred milliseconds per hundred thousand.
    package static func errorGroups(_ filter: JobFilter, limit: Int) -> Fragment {
        errorGroups(of: "SELECT jobs.* FROM public.jobs WHERE \(filter.condition)", limit: limit)
    }

    /// The same of the jobs that a statement gives.
    package static func errorGroups(of jobs: Fragment, limit: Int) -> Fragment {
        """
        SELECT max(error_group) AS id, job_type, error_pattern AS pattern, count(*) AS count,
               count(*) FILTER (WHERE status = 'dead_letter') AS dead_letters,
               count(DISTINCT workspace_id) AS workspaces, min(failed_at) AS first_failed_at,
               max(failed_at) AS last_failed_at, (array_agg(id ORDER BY failed_at DESC NULLS LAST))[1] AS example_id
        FROM (SELECT jobs.id, jobs.workspace_id, jobs.status, jobs.job_type, jobs.failed_at, jobs.error_group,
                     coalesce(jobs.error_pattern, jobworker.error_pattern(jobs.error_message)) AS error_pattern
              FROM (\(jobs)) AS jobs) AS dead
        GROUP BY job_type, error_pattern ORDER BY count(*) DESC, job_type, error_pattern LIMIT \(limit)
        """
    }

    /// The largest groups of failed and set-aside jobs that a filter means.
    package func errorGroups(_ filter: JobFilter, limit: Int) async throws(PostgresError) -> [ErrorGroup] {
        let rows = try await pool.query(
            """
            /* jobworker:dead_letters.groups */
            SELECT counted.*, clock_timestamp() AS as_of FROM (\(Self.errorGroups(filter, limit: limit))) AS counted
            """)
        var groups: [ErrorGroup] = []
        for row in rows { groups.append(try ErrorGroup(row)) }
        return groups
    }

    /// Sets a failed job aside.
    /// - Throws: `JobChangeRefusal`, `PostgresError`.
    package func setAside(_ id: UUID, by requester: Requester) async throws -> JobSummary {
        try await change(
            id, by: requester,
            "/* jobworker:jobs.set_aside */ SELECT \(sql: JobSummary.columns) FROM jobworker.set_aside_job(\(id)) AS jobs"
        )
    }

    /// Adds a job like another one; the old one stays as it is.
    /// - Parameter plan: Its payload and changes.
    /// - Returns: The new job.
    /// - Throws: `JobChangeRefusal`, `PostgresError`.
    package func replay(_ id: UUID, _ plan: OperationPlan, by requester: Requester) async throws -> JobSummary {
        try await change(
            id, by: requester,
            """
            /* jobworker:jobs.replay */
            SELECT \(sql: JobSummary.columns)
            FROM jobworker.replay_job(\(id), (
                SELECT jobworker.changed_payload(coalesce(nullif(options -> 'payload', 'null'), old.payload), options -> 'changes')
                FROM (SELECT \(plan.options) AS options) AS given
                CROSS JOIN public.jobs AS old WHERE old.id = \(id))) AS jobs
            """)
    }
}
