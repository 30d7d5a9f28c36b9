import JobWorker
import Postgres
import Support
import Testing

struct MigrateCommandTests {
    @Test(.database(.application)) func `a dry run names what would be done and changes nothing`() async throws {
        let database = TestDatabase.current
        let policies = try await database.count("schemaname = 'public'", of: "pg_policies")
        let run = try await CommandRun.of("migrate", "--dry-run", database: database)
        #expect(run.status == 0)
        #expect(run.output.contains("0001_roles") && run.output.contains("Row policies that would be replaced"))
        #expect(try await database.count("schemaname = 'public'", of: "pg_policies") == policies)
        #expect(
            try await database.value("SELECT to_regclass('public.jobworker_migrations')::text", as: String.self) == nil)
        let json = try await CommandRun.of("migrate", "--dry-run", "--json", database: database).json()
        #expect(json["migrations"]?.array?.allSatisfy { $0["state"]?.string == "pending" } == true)
        #expect(json["replaced_policies"]?.array?.isEmpty == false)
    }

    @Test(.database(.nothing)) func `an empty database is migrated once`() async throws {
        let database = TestDatabase.current
        let first = try await CommandRun.of("migrate", database: database)
        #expect(first.status == 0 && first.output.contains("migrations applied"))
        let second = try await CommandRun.of("migrate", database: database)
        #expect(second.status == 0 && second.output.contains("Nothing to do"))
        let status = try await CommandRun.of("migrate", "--status", "--json", database: database).json()
        #expect(status["migrations"]?.array?.allSatisfy { $0["state"]?.string == "applied" } == true)
        let dryRun = try await CommandRun.of("migrate", "--dry-run", database: database)
        #expect(dryRun.output.contains("Nothing to do") && !dryRun.output.contains("replaced"))
    }

    @Test(.database(.nothing)) func `several at once are safe`() async throws {
        let database = TestDatabase.current
        try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 0..<4 { group.addTask { try await CommandRun.of("migrate", database: database).status } }
            for try await status in group { #expect(status == 0) }
        }
    }

    @Test(.database()) func `a database that is newer is left alone`() async throws {
        let database = TestDatabase.current
        try await database.run(
            "INSERT INTO public.jobworker_migrations (version, name, checksum) VALUES (9999, 'later', 'x')")
        let run = try await CommandRun.of("migrate", database: database)
        #expect(run.status == 1 && run.error.contains("newer"))
    }
}
