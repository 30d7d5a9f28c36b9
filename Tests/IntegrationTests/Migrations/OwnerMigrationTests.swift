import Development
import Glibc
import JobWorker
import Migrations
import Postgres
import Support
import Testing

/// A server of its own, as roles belong to all databases of a server.
@Suite struct OwnerMigrationTests {
    @Test func `an owner who is no superuser migrates, and a member of jobworker can work`() async throws {
        var options = PrivatePostgres.Options()
        options.isDurable = false
        options.isTemporary = true
        let server = try await PrivatePostgres.start(in: "/tmp/jobworker-owner-\(getpid())", options: options)
        func settings(_ role: String, _ database: String = "app") -> ConnectionSettings {
            ConnectionSettings(
                connectionString: server.connectionString(database: database, role: role), applicationName: "test")
        }
        let administrator = try await Connection.open(settings("postgres", "postgres"))
        try await administrator.runScript("CREATE ROLE app_owner LOGIN")
        // CREATE DATABASE must be alone in its message.
        try await administrator.runScript("CREATE DATABASE app OWNER app_owner")

        // Without the right to make roles the migration says what an administrator has to do.
        let refused = await #expect(throws: PostgresError.self) {
            try await Migrator(settings: settings("app_owner")).migrate()
        }
        #expect(
            refused?.operation == "migration 0001_roles" && refused?.hint?.contains("CREATE ROLE jobworker") == true)

        try await administrator.runScript("ALTER ROLE app_owner CREATEROLE")
        let owner = try await Connection.open(settings("app_owner"))
        #expect(try await Migrator(settings: settings("app_owner")).migrate().count == Migration.all.count)
        try await owner.runScript(
            """
            CREATE ROLE app_worker LOGIN IN ROLE jobworker;
            INSERT INTO public.workspaces (id, name, slug) VALUES ('\(TestDatabase.workspace.text)', 'Test', 'test');
            INSERT INTO public.jobs (workspace_id, job_type, payload) VALUES ('\(TestDatabase.workspace.text)', 'noop', '{}');
            """)

        let pool = ConnectionPool(settings("app_worker"), limit: 1)
        let store = JobStore(pool: pool)
        let claimed = try await store.claim(.test())
        #expect(claimed.count == 1)
        #expect(try await store.complete(claimed.map { ($0.claim, nil) }) == Set(claimed.map(\.claim)))
        await pool.close()
        await owner.close()
        await administrator.close()
        await server.stop()
    }
}
