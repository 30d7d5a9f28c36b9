package import Postgres

extension JobStore {
    /// Why this role can't do a worker's work although it may connect; `nil` if it can.
    ///
    /// - Throws: `PostgresError`; SQLSTATE 25006 where the server takes no changes, as a standby.
    ///
    /// Row security that binds the role without a policy for it shows an empty queue and no error at all.
    package func accessProblem() async throws(PostgresError) -> String? {
        let rows = try await pool.query(
            """
            /* jobworker:access */
            SELECT current_user::text AS role,
                   row_security_active('public.jobs') AND NOT pg_has_role(current_user, 'jobworker', 'USAGE') AS is_blind,
                   current_setting('transaction_read_only') = 'on' AS is_read_only,
                   array_to_string(ARRAY(
                       SELECT needed FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed
                       WHERE NOT has_table_privilege('public.jobs', needed)), ', ') AS missing
            """)
        guard let row = rows.first else { return nil }
        if try row.decode("is_read_only") {
            // The next try may find another server of the connection string.
            await pool.closeIdle()
            throw PostgresError(
                .rejected(sqlState: "25006"), operation: "jobworker:access",
                message: "this server takes no changes: it is a standby, or set to read-only")
        }
        let role = try row.decode("role", as: String.self)
        let missing = try row.decode("missing", as: String.self)
        if try row.decode("is_blind") {
            return """
                row security hides the jobs from the role \(role), and no policy of jobworker's names it: run \
                'GRANT jobworker TO \(role)' as an administrator, or use a login that is a member of jobworker
                """
        }
        guard missing.isEmpty else {
            return """
                the role \(role) lacks rights on the table jobs (\(missing)): run 'GRANT jobworker TO \(role)' as an \
                administrator, or use a login that is a member of jobworker
                """
        }
        return nil
    }
}
