import JobWorker
import Migrations
import Postgres
import Support
import Synchronization
import Testing

@Suite(.database(.nothing)) struct MigratorTests {
    let database = TestDatabase.current

    private var migrator: Migrator { Migrator(settings: database.settings) }

    private func migrator(_ migrations: [Migration]) -> Migrator {
        Migrator(settings: database.settings, migrations: migrations)
    }

    private static let steps = [
        Migration(version: 1, name: "first", sql: "CREATE TABLE public.first (n int)"),
        Migration(
            version: 2, name: "second", sql: "CREATE TABLE public.second (n int); INSERT INTO public.second VALUES (1)"),
    ]

    @Test func `an empty database gets every migration, in order, and then nothing more`() async throws {
        let reported = Mutex<[String]>([])
        let applied = try await migrator.migrate { migration, time in
            reported.withLock { $0.append("\(migration.version) \(time == nil ? "begins" : "ended")") }
        }
        #expect(applied.map(\.version) == Migration.all.map(\.version))
        #expect(reported.withLock { $0 } == Migration.all.flatMap { ["\($0.version) begins", "\($0.version) ended"] })
        #expect(try await JobStore(pool: database.pool).schemaState() == .current)
        #expect(try await migrator.migrate().isEmpty)
    }

    @Test func `ten programs that start at once apply each migration once`() async throws {
        let migrator = migrator
        let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<10 { group.addTask { try await migrator.migrate().map(\.version) } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(applied.sorted() == Migration.all.map(\.version))
        #expect(try await JobStore(pool: database.pool).schemaState() == .current)
    }

    @Test func `a migration that fails is undone whole, is named, and can be tried again`() async throws {
        let broken = Migration(
            version: 2, name: "second",
            sql: "CREATE TABLE public.second (n int); INSERT INTO public.second VALUES (1/0)")
        let error = await #expect(throws: PostgresError.self) { try await migrator([Self.steps[0], broken]).migrate() }
        #expect(error?.operation == "migration 0002_second" && error?.sqlState == "22012")
        #expect(try await database.value("SELECT to_regclass('public.first') IS NOT NULL") == true)
        #expect(try await database.value("SELECT to_regclass('public.second') IS NULL") == true)
        #expect(try await migrator(Self.steps).migrate().map(\.version) == [2])
    }

    @Test func `a migration of one statement that commits by itself is recorded after it`() async throws {
        let steps = [
            Migration(
                version: 1, name: "procedure",
                sql:
                    "CREATE PROCEDURE public.step() LANGUAGE plpgsql AS 'BEGIN COMMIT; CREATE TABLE public.made (n int); COMMIT; END'"
            ),
            Migration(version: 2, name: "call", sql: "-- jobworker:no-transaction\nCALL public.step();"),
        ]
        #expect(try await migrator(steps).migrate().count == 2)
        #expect(try await database.value("SELECT to_regclass('public.made') IS NOT NULL") == true)
        #expect(try await migrator(steps).migrate().isEmpty)
    }

    @Test func `another text under an applied number is refused, and nothing is changed`() async throws {
        _ = try await migrator(Self.steps).migrate()
        let changed = [
            Migration(version: 1, name: "first", sql: Self.steps[0].sql + " "), Self.steps[1],
            Migration(version: 3, name: "third", sql: "CREATE TABLE public.third (n int)"),
        ]
        let failure = await #expect(throws: Migrator.Failure.self) { try await migrator(changed).migrate() }
        #expect(failure?.description.contains("migration 1 (first)") == true)
        #expect(try await database.value("SELECT to_regclass('public.third') IS NULL") == true)
        #expect(try await migrator(changed).status().map(\.state) == [.changed, .applied, .pending])
    }

    @Test func `a database that is newer than the program is refused`() async throws {
        _ = try await migrator(Self.steps).migrate()
        let older = migrator([Self.steps[0]])
        let failure = await #expect(throws: Migrator.Failure.self) { try await older.migrate() }
        #expect(failure?.description.contains("migration 2 (second)") == true)
        let entries = try await older.status()
        #expect(entries.map(\.state) == [.applied, .unknown] && entries.map(\.name) == ["first", "second"])
        let store = JobStore(pool: database.pool)
        #expect(try await store.schemaState(migrations: [Self.steps[0]]) == .ahead(version: 2))
    }

    @Test func `the status of an empty database is pending, and asking changes nothing`() async throws {
        #expect(try await migrator.status().allSatisfy { $0.state == .pending && $0.appliedAt == nil })
        #expect(try await database.value("SELECT to_regclass('public.jobworker_migrations') IS NULL") == true)
        let store = JobStore(pool: database.pool)
        #expect(try await store.schemaState() == .behind(missing: Migration.all.count))
        _ = try await migrator(Self.steps).migrate()
        #expect(try await store.schemaState(migrations: Self.steps) == .current)
        let third = Migration(version: 3, name: "third", sql: "")
        #expect(try await store.schemaState(migrations: Self.steps + [third]) == .behind(missing: 1))
        #expect(try await migrator(Self.steps).status().allSatisfy { $0.state == .applied && $0.appliedAt != nil })
    }

    @Test func `a lock that the application holds stops a migration, which can be run again`() async throws {
        _ = try await migrator([Self.steps[0]]).migrate()
        let second = Migration(
            version: 2, name: "second", sql: "SET LOCAL lock_timeout = '50ms'; ALTER TABLE public.first ADD m int")
        try await database.pool.withConnection { holder in
            try await holder.runScript("BEGIN; LOCK TABLE public.first IN ACCESS SHARE MODE")
            let error = await #expect(throws: PostgresError.self) {
                try await migrator([Self.steps[0], second]).migrate()
            }
            #expect(error?.sqlState == "55P03")
            try await holder.runScript("ROLLBACK")
        }
        #expect(try await migrator([Self.steps[0], second]).migrate().map(\.version) == [2])
    }
}
