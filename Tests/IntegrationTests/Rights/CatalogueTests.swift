import FoundationEssentials
import Postgres
import Support
import Testing

/// What holds for every table, asked of the catalogue: a new table without a policy or with a grant too many fails here.
@Suite(.database(), .timeLimit(.minutes(5))) struct CatalogueTests {
    let database = TestDatabase.current

    /// Tables of ours without a column `workspace_id` that members may read all the same, and by what they are tied to
    /// a workspace.
    private static let tiedOtherwise = [
        "public.job_logs": "by their job", "public.job_dependencies": "by their job",
        "public.job_operation_items": "by their operation", "public.workspaces": "they are one",
    ]

    private func names(_ statement: Statement) async throws -> [String] {
        try await database.query(statement).map { try $0.decode("name") }
    }

    private static let ours: Fragment = """
        class.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
        """

    @Test func `every table has row security, and no view goes around it`() async throws {
        let open = try await names(
            """
            SELECT class.oid::regclass::text AS name FROM pg_catalog.pg_class AS class
            WHERE class.relkind IN ('r', 'p') AND NOT class.relrowsecurity AND \(Self.ours)
              AND class.relname NOT IN ('users', 'jobworker_migrations', 'replaced_policies')
            """)
        #expect(open == [])
        let views = try await names(
            """
            SELECT class.oid::regclass::text AS name FROM pg_catalog.pg_class AS class
            WHERE \(Self.ours) AND (class.relkind IN ('m', 'f') OR class.relkind = 'v'
              AND NOT coalesce('security_invoker=true' = ANY (class.reloptions), false))
            """)
        #expect(views == [])
    }

    @Test func `anon may do nothing with any table, and members nothing that row security doesn't see`() async throws {
        let grants = try await names(
            """
            SELECT format('%s %s', class.oid::regclass, privilege) AS name
            FROM pg_catalog.pg_class AS class,
                 unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
            WHERE class.relkind IN ('r', 'p', 'v') AND \(Self.ours)
              AND (has_table_privilege('anon', class.oid, privilege)
                   OR privilege IN ('TRUNCATE', 'REFERENCES', 'TRIGGER')
                      AND has_table_privilege('authenticated', class.oid, privilege))
            """)
        #expect(grants == [])
    }

    @Test func `what members may read is tied to a workspace`() async throws {
        let tables = try await names(
            """
            SELECT class.oid::regclass::text AS name FROM pg_catalog.pg_class AS class
            WHERE class.relkind IN ('r', 'p', 'v') AND \(Self.ours)
              AND has_any_column_privilege('authenticated', class.oid, 'SELECT')
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS attribute
                              WHERE attribute.attrelid = class.oid AND attribute.attname = 'workspace_id')
            ORDER BY 1
            """)
        #expect(tables.map { $0.contains(".") ? $0 : "public.\($0)" } == Self.tiedOtherwise.keys.sorted())
    }

    @Test func `no function with its owner's rights is open to anon, or looks for names in a path of the caller's`()
        async throws
    {
        let functions = try await names(
            """
            SELECT oid::regprocedure::text AS name FROM pg_catalog.pg_proc
            WHERE prosecdef AND pronamespace::regnamespace::text IN ('jobworker', 'public')
              AND (NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
                   OR has_function_privilege('anon', oid, 'EXECUTE')
                      -- They tell who one is.
                      AND proname NOT IN ('user_id', 'my_workspaces', 'my_admin_workspaces', 'is_member', 'is_admin')
                      AND prorettype <> 'trigger'::regtype)
            """)
        #expect(functions == [])
    }

    @Test func `across the border no verb does anything, in any table that names a workspace`() async throws {
        let tenants = try await Tenants(in: database)
        let canary = try await Canary(in: tenants.theirs, of: database)
        _ = try await Canary(in: tenants.mine, of: database, word: "of mine")
        let suspended = try await database.insertMember(of: tenants.theirs, role: "admin", status: "suspended")
        let outsiders: [UUID?] = [
            tenants.member, tenants.admin, tenants.owner, nil, try await database.insertUser(), suspended,
        ]
        let tables = try await Canary.tables(of: database)
        #expect(tables.count >= 12)
        let before = try await canary.fingerprint()
        for table in tables {
            let updatable = try await names(
                """
                SELECT attname AS name FROM pg_catalog.pg_attribute
                WHERE attrelid = to_regclass(\(table)) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
                  AND has_column_privilege('authenticated', attrelid, attnum, 'UPDATE')
                """)
            var verbs: [Statement] = [
                "SELECT workspace_id FROM \(sql: table) WHERE workspace_id = \(tenants.theirs)",
                "DELETE FROM \(sql: table) WHERE workspace_id = \(tenants.theirs)",
                "SELECT workspace_id FROM \(sql: table) WHERE workspace_id = \(tenants.theirs) FOR UPDATE",
            ]
            for column in updatable {
                verbs.append(
                    "UPDATE \(sql: table) SET \(sql: column) = \(sql: column) WHERE workspace_id = \(tenants.theirs)")
            }
            for user in outsiders {
                // Whoever was invited or suspended may see that.
                let isOwn = table == "public.workspace_members"
                for verb in verbs where !(isOwn && verb.sql.hasPrefix("SELECT workspace_id") && user == suspended) {
                    let attempt = try await tenants.attempt(verb, as: user)
                    #expect([.rows(0), .refused("42501")].contains(attempt), "\(verb.sql)")
                }
                for verb: Statement in [
                    // A row of theirs by one of mine, and one of mine moved to them.
                    "INSERT INTO \(sql: table) (workspace_id) VALUES (\(tenants.theirs))",
                    "UPDATE \(sql: table) SET workspace_id = \(tenants.theirs) WHERE workspace_id = \(tenants.mine)",
                    "TRUNCATE \(sql: table)",
                ] {
                    let attempt = try await tenants.attempt(verb, as: user)
                    #expect([.rows(0), .refused("42501")].contains(attempt), "\(verb.sql)")
                }
            }
        }
        #expect(try await canary.fingerprint() == before)
    }
}
