package import FoundationEssentials
package import Postgres

extension JobStore {
    /// Writes down what a person did, where no trigger does it.
    /// - Parameters:
    ///   - action: As `settings.change`.
    ///   - subject: What it was done to, if not a job: a queue's name, a workspace's id.
    package func audit(_ action: String, subject: String, workspaceID: UUID?, by requester: Requester)
        async throws(PostgresError)
    {
        try await pool.query(
            """
            /* jobworker:audit */
            INSERT INTO public.job_audit (workspace_id, actor, via, action, subject)
            SELECT \(workspaceID), \(requester.actor), \(requester.via.rawValue), \(action), \(subject)
            -- For everybody else a trigger does this.
            WHERE pg_has_role('jobworker', 'MEMBER')
            """)
    }
}
