import FoundationEssentials
package import Postgres

/// What the catalogue says of the border between workspaces.
package struct BorderSurvey: Sendable, Hashable {
    /// Tables of ours without row security: whoever may read them reads all of it.
    package var openTables: [String] = []
    /// Policies for members or everybody that are none of ours, as `public.jobs: old policy`. Policies are OR-ed.
    package var strangePolicies: [String] = []
    /// What everybody or `anon` may do with tables of ours, as `SELECT on public.jobs`.
    package var publicRights: [String] = []

    package init() {}
}

/// What a member of one workspace could do with the rows of another one, really tried.
package struct BorderTrial: Sendable, Hashable {
    package var tables = 0
    /// What was possible, as `SELECT on public.jobs`.
    package var leaks: [String] = []
    /// Whether the stranger was a real member of another workspace; otherwise a user nobody knows.
    package var isRealMember = false
    /// Whether a member of the job's own workspace saw it; `nil` where there is no member to try it with.
    package var memberSees: Bool?
    /// Why nothing could be tried.
    package var obstacle: String?

    package init() {}
}

extension JobStore {
    /// Looks at policies and grants. Reads only the catalogue.
    package func borderSurvey() async throws(PostgresError) -> BorderSurvey {
        let rows = try await pool.query(
            """
            /* jobworker:survey.border */
            WITH ours AS (
                SELECT class.oid, class.relrowsecurity, format('%s.%s', class.relnamespace::regnamespace, class.relname) AS name
                FROM pg_catalog.pg_class AS class
                WHERE class.relkind IN ('r', 'p')
                  AND (class.relnamespace::regnamespace::text = 'jobworker' AND class.relname <> 'replaced_policies'
                       OR class.relnamespace::regnamespace::text = 'public' AND class.relname = ANY (\(Self.ownTables)))
            )
            SELECT ARRAY(SELECT name FROM ours WHERE NOT relrowsecurity ORDER BY name) AS open_tables,
                   ARRAY(SELECT ours.name || ': ' || policy.polname
                         FROM ours JOIN pg_catalog.pg_policy AS policy ON policy.polrelid = ours.oid
                         WHERE policy.polpermissive AND policy.polname NOT LIKE 'jobworker\\_%'
                           AND policy.polroles && ARRAY[0, coalesce(to_regrole('anon'), 0), coalesce(to_regrole('authenticated'), 0)]::oid[]
                         ORDER BY 1) AS strange_policies,
                   ARRAY(SELECT DISTINCT acl.privilege_type || ' on ' || ours.name
                         FROM ours JOIN pg_catalog.pg_class AS class USING (oid),
                              LATERAL aclexplode(class.relacl) AS acl
                         WHERE acl.grantee IN (0, coalesce(to_regrole('anon'), 0)::oid)
                         ORDER BY 1) AS public_rights
            """)
        var survey = BorderSurvey()
        guard let row = rows.first else { return survey }
        survey.openTables = try row.decode("open_tables")
        survey.strangePolicies = try row.decode("strange_policies")
        survey.publicRights = try row.decode("public_rights")
        return survey
    }

    /// Tables of `public` that `jobworker migrate` makes or takes over.
    private static let ownTables = [
        "jobs", "job_logs", "job_audit", "job_queues", "job_limits", "job_workers", "job_dependencies", "job_workflows",
        "job_schedules",
        "webhook_endpoints", "webhook_deliveries", "workspace_settings", "enrichment_cache", "rate_limits",
        "dead_letter_queue", "job_operations", "job_operation_items", "jobs_archive",
        "job_alerts",
    ]

    /// Adds a job to a workspace, takes the part of a member of another one, and tries to reach it, and whatever else
    /// there is of that workspace. All of it in a transaction that is rolled back.
    package func tryBorder() async throws -> BorderTrial {
        do {
            try await pool.transaction { connection in throw RolledBack(trial: try Self.trial(connection)) }
        } catch let end as RolledBack { return end.trial }
        return BorderTrial()
    }

    private struct RolledBack: Error {
        let trial: BorderTrial
    }

    private static func trial(_ connection: isolated Connection) throws(PostgresError) -> BorderTrial {
        var trial = BorderTrial()
        guard
            let workspace = try connection.execute(
                """
                /* jobworker:border.workspace */
                SELECT id FROM public.workspaces WHERE coalesce(status, 'active') = 'active' ORDER BY id LIMIT 1
                """
            ).first?.decode("id", as: UUID.self)
        else {
            trial.obstacle = "there is no workspace yet"
            return trial
        }
        // Cancelled, so that nothing would ever run it.
        let job = UUID()
        try connection.execute(
            """
            /* jobworker:border.job */
            WITH added AS (
                INSERT INTO public.jobs (id, workspace_id, job_type, payload, status)
                VALUES (\(job), \(workspace), 'doctor', '{}', 'cancelled') RETURNING id
            )
            INSERT INTO public.job_logs (job_id, log_level, message) SELECT id, 'debug', 'doctor' FROM added
            """)
        let stranger = try connection.execute(
            """
            /* jobworker:border.stranger */
            SELECT user_id FROM public.workspace_members AS member
            WHERE status = 'active' AND workspace_id <> \(workspace)
              AND NOT EXISTS (SELECT FROM public.workspace_members AS other
                              WHERE other.user_id = member.user_id AND other.workspace_id = \(workspace))
              AND user_id IS DISTINCT FROM (SELECT owner_id FROM public.workspaces WHERE id = \(workspace))
            LIMIT 1
            """
        ).first?.decode("user_id", as: UUID.self)
        let member = try connection.execute(
            """
            /* jobworker:border.member */
            SELECT user_id FROM public.workspace_members
            WHERE status = 'active' AND workspace_id = \(workspace) LIMIT 1
            """
        ).first?.decode("user_id", as: UUID.self)
        // The tables of others belong to the application, and so does what it lets them show.
        let tables = try connection.execute(
            """
            /* jobworker:border.tables */
            SELECT format('%s.%s', class.relnamespace::regnamespace, class.relname) AS name
            FROM pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
                AND attribute.attname = 'workspace_id' AND NOT attribute.attisdropped
            WHERE class.relkind IN ('r', 'p') AND class.relnamespace::regnamespace::text IN ('public', 'jobworker')
            ORDER BY name
            """
        ).map { row throws(PostgresError) in try row.decode("name", as: String.self) }
        trial.isRealMember = stranger != nil
        trial.tables = tables.count + 1

        try connection.execute("/* jobworker:border.before */ SAVEPOINT before")
        if let obstacle = try become(stranger ?? UUID(), connection) {
            trial.obstacle = obstacle
            return trial
        }
        for table in tables {
            let reaches = try succeeds(
                "/* jobworker:border.select */ SELECT FROM \(sql: table) WHERE workspace_id = \(workspace) LIMIT 1",
                connection)
            if reaches { trial.leaks.append("SELECT on \(table)") }
        }
        let ways: [(String, Statement)] = [
            (
                "SELECT on public.job_logs",
                "/* jobworker:border.logs */ SELECT FROM public.job_logs WHERE job_id = \(job)"
            ),
            (
                "INSERT on public.jobs",
                """
                /* jobworker:border.insert */
                INSERT INTO public.jobs (workspace_id, job_type, payload) VALUES (\(workspace), 'doctor', '{}')
                """
            ),
            (
                "UPDATE on public.jobs",
                "/* jobworker:border.update */ UPDATE public.jobs SET status = 'pending' WHERE id = \(job)"
            ),
            ("DELETE on public.jobs", "/* jobworker:border.delete */ DELETE FROM public.jobs WHERE id = \(job)"),
            ("jobworker.retry_job", "/* jobworker:border.retry */ SELECT FROM jobworker.retry_job(\(job))"),
        ]
        for (name, statement) in ways where try succeeds(statement, connection) { trial.leaks.append(name) }

        guard let member else { return trial }
        try connection.execute("/* jobworker:border.back */ ROLLBACK TO before")
        guard try become(member, connection) == nil else { return trial }
        trial.memberSees = try succeeds(
            "/* jobworker:border.own */ SELECT FROM public.jobs WHERE id = \(job)", connection)
        return trial
    }

    /// Takes the part of a signed-in user.
    /// - Returns: Why that can't be done.
    private static func become(_ user: UUID, _ connection: isolated Connection) throws(PostgresError) -> String? {
        let claims = #"{"sub":"\#(user.text)","role":"authenticated"}"#
        do throws(PostgresError) {
            try connection.execute(
                """
                /* jobworker:border.claims */
                SELECT set_config('request.jwt.claims', \(claims), true),
                       set_config('request.jwt.claim.sub', \(user.text), true)
                """)
            try connection.execute("/* jobworker:border.role */ SET LOCAL ROLE authenticated")
            return nil
        } catch {
            guard error.sqlState == "42501" || error.sqlState == "22023" else { throw error }
            return error.message
        }
    }

    /// Whether the statement reaches any row. Being refused is not reaching one.
    private static func succeeds(_ statement: Statement, _ connection: isolated Connection) throws(PostgresError)
        -> Bool
    {
        try connection.execute("SAVEPOINT attempt")
        do throws(PostgresError) {
            let rows = try connection.execute(statement)
            try connection.execute("ROLLBACK TO attempt")
            return max(rows.count, rows.affected) > 0
        } catch {
            guard error.sqlState != nil, !error.endsConnection else { throw error }
            try connection.execute("ROLLBACK TO attempt")
            return false
        }
    }
}
