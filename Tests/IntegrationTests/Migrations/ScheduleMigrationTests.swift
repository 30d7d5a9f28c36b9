import JobWorker
import Migrations
import Postgres
import Support
import Testing

/// What 0014 makes of schedules that were there before.
@Suite(.database(.nothing)) struct ScheduleMigrationTests {
    let database = TestDatabase.current

    private func migrate(through version: Int) async throws {
        let migrations = Migration.all.filter { $0.version <= version }
        _ = try await Migrator(settings: database.settings, migrations: migrations).migrate()
    }

    private func insert(_ name: String, next: String = "NULL") async throws {
        try await database.run(
            """
            INSERT INTO public.workspaces (id, name, slug) VALUES ('\(TestDatabase.workspace.text)', 'Test', 'test')
            ON CONFLICT DO NOTHING;
            INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds, next_run_at)
            VALUES ('\(TestDatabase.workspace.text)', '\(name)', 'noop', 60, \(next));
            """)
    }

    private func names(_ condition: String) async throws -> [String] {
        try await database.query("SELECT name FROM public.job_schedules WHERE \(sql: condition) ORDER BY name").map {
            try $0.decode("name")
        }
    }

    @Test func `times out of reach are found out anew, and whose schedules are unknown get the least rights`()
        async throws
    {
        try await migrate(through: 11)
        try await insert("old", next: "now()")
        try await migrate(through: 13)
        try await insert("early", next: "'-infinity'")
        try await insert("ancient", next: "'0044-03-15 BC'")
        try await insert("late", next: "'2200-01-02Z'")
        try await insert("never", next: "'infinity'")
        try await insert("fine", next: "now() + interval '1 day'")
        try await insert("dead")
        try await insert("broken")
        try await database.run(
            """
            UPDATE public.job_schedules SET last_error = 'this machine knows no time zones: install the package tzdata'
            WHERE name = 'dead';
            UPDATE public.job_schedules SET last_error = 'the minute field ''61'' has 61, outside 0 to 59' WHERE name = 'broken';
            """)
        try await migrate(through: 14)
        #expect(try await names("next_run_at IS NULL") == ["ancient", "broken", "dead", "early", "late", "never"])
        #expect(try await names("last_error IS NOT NULL") == ["broken"])
        #expect(try await names("written_by = 'authenticated'") == ["old"])
        #expect(try await names("written_by = 'postgres'").count == 7)
        // The triggers work again.
        #expect(try await TestDatabase.refusal { try await insert("wrong", next: "'infinity'") } == "23514")
        try await database.run("UPDATE public.job_schedules SET written_by = 'nobody'")
        #expect(try await names("written_by = 'nobody'").isEmpty)
    }
}
