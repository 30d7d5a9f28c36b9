package import Postgres

/// The server and the role under which the program came to it.
package struct DatabaseSurvey: Sendable {
    package var serverVersion = ""
    /// As 150004.
    package var serverVersionNumber = 0
    package var database = ""
    package var role = ""
    package var isSuperuser = false
    package var bypassesRowSecurity = false
    /// Whether it has what the role `jobworker` was granted.
    package var isWorker = false
    /// Only a copy, which can't be written to.
    package var isStandby = false
    /// Tables of ours that belong to the role, or to one whose rights it has.
    package var ownedTables: [String] = []
    /// What the worker needs and the role may not do, as `SELECT on public.jobs`.
    package var missingRights: [String] = []
    /// Tables whose row security binds the role without a policy that lets the worker through.
    package var closedTables: [String] = []
    /// What no worker needs: attributes such as CREATEROLE, memberships such as `service_role`.
    package var excessPowers: [String] = []
    /// Rights by which the role could go around the border between workspaces, as `DELETE on public.workspaces`.
    package var excessRights: [String] = []
    /// Tables that are none of ours and that the role may write to.
    package var foreignTables: [String] = []
    /// Whether the session goes to another machine without TLS.
    package var isExposed = false

    package init() {}
}

/// A transaction that keeps PostgreSQL from clearing away old row versions.
package struct OldTransaction: Sendable {
    /// A session's process, or the name of a transaction that was prepared.
    package let who: String
    /// Of a session; `prepared` otherwise.
    package let application: String
    package let age: Duration

    package static let prepared = "prepared transaction"

    package init(who: String, application: String, age: Duration) {
        self.who = who
        self.application = application
        self.age = age
    }
}

/// Rows of `jobs` that no worker touches.
package struct OddJobs: Sendable, Hashable {
    package let withoutWorkspace: Int
    package let withoutStatus: Int
    package let withUnknownStatus: Int
    /// Some of the unknown ones.
    package let unknownStatuses: [String]
    /// Pending, and without a time at which they would be due.
    package let neverDue: Int

    package init(
        withoutWorkspace: Int = 0, withoutStatus: Int = 0, withUnknownStatus: Int = 0, unknownStatuses: [String] = [],
        neverDue: Int = 0
    ) {
        self.withoutWorkspace = withoutWorkspace
        self.withoutStatus = withoutStatus
        self.withUnknownStatus = withUnknownStatus
        self.unknownStatuses = unknownStatuses
        self.neverDue = neverDue
    }
}

/// What a walk through the whole table `jobs` finds.
package struct JobCensus: Sendable {
    package let odd: OddJobs
    /// Since when the longest finished job of each status has been there, by the database's clock.
    package let oldestFinished: [JobStatus: Duration]
    /// All that have ended.
    package let finished: Int

    package init(odd: OddJobs, oldestFinished: [JobStatus: Duration], finished: Int) {
        self.odd = odd
        self.oldestFinished = oldestFinished
        self.finished = finished
    }
}

extension JobStore {
    /// Looks at the server and at the rights of the role. Changes nothing, and works without any table of ours.
    package func survey() async throws(PostgresError) -> DatabaseSurvey {
        let rows = try await pool.query(
            """
            /* jobworker:survey */
            WITH named AS (
                SELECT space.nspname || '.' || class.relname AS name, class.oid, class.relowner
                FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS space ON space.oid = class.relnamespace
                WHERE space.nspname IN ('public', 'auth') AND class.relkind IN ('r', 'p', 'v', 'f')
            ),
            needed (name, rights) AS (
                VALUES ('public.jobs', 'SELECT,INSERT,UPDATE,DELETE'), ('public.job_logs', 'SELECT,INSERT,DELETE'),
                       ('public.job_audit', 'SELECT,INSERT'), ('public.job_queues', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.job_limits', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.job_alerts', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.job_workers', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.job_workflows', 'SELECT'), ('public.job_dependencies', 'SELECT,INSERT'), ('public.job_schedules', 'SELECT,INSERT,UPDATE'),
                       ('public.webhook_endpoints', 'SELECT,INSERT,UPDATE'),
                       ('public.webhook_deliveries', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.dead_letter_queue', 'SELECT,INSERT,UPDATE'),
                       ('public.job_operations', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.job_operation_items', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.jobs_archive', 'SELECT,INSERT'),
                       ('public.workspace_settings', 'SELECT,INSERT,UPDATE'),
                       ('public.enrichment_cache', 'SELECT,INSERT,UPDATE,DELETE'),
                       ('public.rate_limits', 'SELECT,INSERT,UPDATE,DELETE'), ('public.workspaces', 'SELECT'),
                       ('public.accounts', 'SELECT,UPDATE'), ('public.contacts', 'SELECT,UPDATE'),
                       ('public.jobworker_migrations', 'SELECT')
            ),
            present AS (
                SELECT needed.name, needed.rights, class.oid, class.relowner
                -- By the catalogue: to_regclass refuses names of schemas that the role may not look into.
                FROM needed JOIN named AS class USING (name)
            )
            SELECT current_setting('server_version') AS version,
                   current_setting('server_version_num')::int AS version_number,
                   current_database()::text AS database, current_user::text AS role, me.rolsuper, me.rolbypassrls,
                   coalesce((SELECT pg_has_role(worker.oid, 'USAGE') FROM pg_catalog.pg_roles AS worker
                             WHERE worker.rolname = 'jobworker'), false) AS is_worker,
                   pg_is_in_recovery() AS is_standby,
                   inet_server_addr() IS NOT NULL AND inet_server_addr() IS DISTINCT FROM inet_client_addr()
                       AND NOT coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false)
                       AS is_exposed,
                   ARRAY(SELECT power FROM (
                             VALUES ('CREATEROLE', me.rolcreaterole), ('CREATEDB', me.rolcreatedb),
                                    ('REPLICATION', me.rolreplication)) AS attribute (power, is_held)
                         WHERE is_held
                         UNION ALL
                         SELECT 'membership in ' || quote_ident(rolname) FROM pg_catalog.pg_roles
                         WHERE rolname <> current_user AND pg_has_role(oid, 'MEMBER')
                           AND (rolsuper OR rolcreaterole OR rolname = ANY (\(Self.powerfulRoles)))
                         ORDER BY 1) AS excess_powers,
                   ARRAY(SELECT single || ' on ' || name
                         FROM (SELECT name, oid, 'TRUNCATE' AS rights FROM present
                               UNION ALL
                               SELECT name, oid, 'INSERT,UPDATE,DELETE' FROM named
                               WHERE name IN ('public.workspaces', 'public.workspace_members', 'auth.users')
                               UNION ALL
                               SELECT name, oid, 'INSERT,DELETE' FROM named
                               WHERE name IN ('public.accounts', 'public.contacts')) AS border,
                              unnest(string_to_array(rights, ',')) AS single
                         WHERE has_table_privilege(oid, single) ORDER BY name, single) AS excess_rights,
                   ARRAY(SELECT format('%I.%I', relnamespace::regnamespace::text, relname)
                         FROM pg_catalog.pg_class
                         WHERE relkind IN ('r', 'p', 'f') AND relpersistence <> 't'
                           AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'jobworker')
                           AND oid NOT IN (SELECT oid FROM present)
                           -- The application's triggers copy changed rows there, with the worker's rights.
                           AND relname NOT IN ('workspace_members', 'users', 'account_versions', 'contact_versions')
                           AND (has_any_column_privilege(oid, 'INSERT, UPDATE') OR has_table_privilege(oid, 'DELETE'))
                         ORDER BY 1) AS foreign_tables,
                   ARRAY(SELECT name FROM present
                         WHERE name LIKE 'public.job%' AND pg_has_role(relowner, 'USAGE') ORDER BY name) AS owned,
                   ARRAY(SELECT single || ' on ' || name
                         FROM present, unnest(string_to_array(rights, ',')) AS single
                         WHERE NOT has_table_privilege(oid, single) ORDER BY name, single)
                   || ARRAY(SELECT 'SELECT on jobworker.' || relname
                            FROM pg_catalog.pg_class
                            WHERE relkind = 'S' AND relnamespace = to_regnamespace('jobworker')
                              -- Read by triggers of jobs as whoever changes a job.
                              AND relname IN ('changes_watched', 'webhooks_in_use', 'workers_waiting')
                              AND NOT has_sequence_privilege(oid, 'SELECT') ORDER BY relname) AS missing,
                   ARRAY(SELECT name FROM present
                         WHERE row_security_active(oid)
                           AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS policy, unnest(policy.polroles) AS holder
                                           WHERE policy.polrelid = present.oid AND policy.polpermissive
                                             AND policy.polname LIKE 'jobworker\\_%'
                                             AND CASE WHEN holder <> 0 THEN pg_has_role(holder, 'USAGE') END)
                         ORDER BY name) AS closed
            FROM pg_catalog.pg_roles AS me WHERE me.rolname = current_user
            """)
        guard let row = rows.first else { return DatabaseSurvey() }
        var survey = DatabaseSurvey()
        survey.serverVersion = try row.decode("version")
        survey.serverVersionNumber = try row.decode("version_number")
        survey.database = try row.decode("database")
        survey.role = try row.decode("role")
        survey.isSuperuser = try row.decode("rolsuper")
        survey.bypassesRowSecurity = try row.decode("rolbypassrls")
        survey.isWorker = try row.decode("is_worker")
        survey.isStandby = try row.decode("is_standby")
        survey.ownedTables = try row.decode("owned")
        survey.missingRights = try row.decode("missing")
        survey.closedTables = try row.decode("closed")
        survey.isExposed = try row.decode("is_exposed")
        survey.excessPowers = try row.decode("excess_powers")
        survey.excessRights = try row.decode("excess_rights")
        survey.foreignTables = try row.decode("foreign_tables")
        return survey
    }

    /// Roles whose rights go around row security or reach the server's files.
    private static let powerfulRoles = [
        "service_role", "pg_read_all_data", "pg_write_all_data", "pg_read_server_files", "pg_write_server_files",
        "pg_execute_server_program",
    ]

    /// The oldest transaction that holds back VACUUM, if there is any. Of other roles' sessions only members of
    /// `pg_read_all_stats` see something.
    package func oldestTransaction() async throws(PostgresError) -> OldTransaction? {
        let rows = try await pool.query(
            """
            /* jobworker:survey.transactions */
            SELECT pid::text AS who, coalesce(application_name, '') AS application,
                   extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
            FROM pg_catalog.pg_stat_activity
            WHERE backend_xmin IS NOT NULL AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
              AND datname = current_database()
            UNION ALL
            SELECT gid, \(OldTransaction.prepared), extract(epoch FROM clock_timestamp() - prepared)::float8
            FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()
            ORDER BY seconds DESC LIMIT 1
            """)
        guard let row = rows.first else { return nil }
        return OldTransaction(
            who: try row.decode("who"), application: try row.decode("application"),
            age: .seconds(try row.decode("seconds", as: Double.self)))
    }

    /// Counts the rows that stay as the application left them, and looks how old the finished ones are. Reads the whole
    /// table.
    package func census() async throws(PostgresError) -> JobCensus {
        let known = JobStatus.allCases.map(\.rawValue)
        let final = JobStatus.allCases.filter(\.isFinal)
        let rows = try await pool.query(
            """
            /* jobworker:survey.census */
            SELECT count(*) FILTER (WHERE workspace_id IS NULL) AS without_workspace,
                   count(*) FILTER (WHERE status IS NULL) AS without_status,
                   count(*) FILTER (WHERE status <> ALL (\(known))) AS with_unknown_status,
                   coalesce((array_agg(DISTINCT status::text) FILTER (WHERE status <> ALL (\(known))))[:5], '{}') AS unknown,
                   count(*) FILTER (WHERE status = 'pending' AND created_at IS NULL AND scheduled_for IS NULL
                                    AND next_retry_at IS NULL) AS never_due,
                   count(*) FILTER (WHERE status = ANY (\(final.map(\.rawValue)))) AS finished,
                   ARRAY[\(ages(final))] AS ages
            FROM public.jobs
            """)
        guard let row = rows.first else { return JobCensus(odd: OddJobs(), oldestFinished: [:], finished: 0) }
        var oldest: [JobStatus: Duration] = [:]
        // -1 where there is none.
        for (status, age) in zip(final, try row.decode("ages", as: [Double].self)) where age >= 0 {
            oldest[status] = .seconds(age)
        }
        return JobCensus(
            odd: OddJobs(
                withoutWorkspace: try row.decode("without_workspace"), withoutStatus: try row.decode("without_status"),
                withUnknownStatus: try row.decode("with_unknown_status"), unknownStatuses: try row.decode("unknown"),
                neverDue: try row.decode("never_due")),
            oldestFinished: oldest, finished: try row.decode("finished"))
    }

    private func ages(_ statuses: [JobStatus]) -> Fragment {
        .joined(
            statuses.map { status in
                """
                coalesce(extract(epoch FROM clock_timestamp() - min(coalesce(completed_at, failed_at, created_at))
                    FILTER (WHERE status = \(status.rawValue)))::float8, -1)
                """
            }, separator: ", ")
    }
}
