package import Development
package import FoundationEssentials
package import JobWorker
package import Postgres
package import Testing

/// A database for one test.
///
///     @Suite(.database()) struct ClaimTests {
///         let database = TestDatabase.current
///         @Test func `…`() async throws { let job = try await database.insertJob() … }
///     }
package final class TestDatabase: Sendable {
    package enum Contents: Sendable, Hashable {
        case nothing
        /// This program's schema on an empty database.
        case schema
        /// The existing application's tables and rows, before they are taken over.
        case application
        /// The same, taken over.
        case adopted
    }

    /// The workspace that jobs belong to unless a test says otherwise.
    package static let workspace = UUID(uuidString: "ffffffff-0000-4000-8000-000000000001")!
    /// A login like the one the worker should have: a member of the role jobworker, and nothing else.
    package static let workerRole = "test_worker"

    package let name: String
    package let server: PrivatePostgres
    /// As the superuser, who owns everything.
    package let settings: ConnectionSettings
    /// As the worker.
    package let workerSettings: ConnectionSettings
    /// As the superuser, to arrange things and to look at them.
    package let pool: ConnectionPool
    package let workerPool: ConnectionPool

    init(name: String, server: PrivatePostgres, settings: ConnectionSettings) {
        self.name = name
        self.server = server
        self.settings = settings
        var worker = settings
        worker.connectionString = server.connectionString(database: name, role: TestDatabase.workerRole)
        workerSettings = worker
        pool = ConnectionPool(settings, limit: 8)
        workerPool = ConnectionPool(worker, limit: 8)
    }

    func close() async {
        await pool.close()
        await workerPool.close()
    }

    /// For another database of the same server, or as another role.
    package func settings(database: String? = nil, role: String = "postgres") -> ConnectionSettings {
        var other = settings
        other.connectionString = server.connectionString(database: database ?? name, role: role)
        return other
    }

    /// The worker's statements, with its rights.
    package func store(lifecycleLevel: JobLogLevel? = .debug) -> JobStore {
        JobStore(pool: workerPool, lifecycleLevel: lifecycleLevel)
    }

    /// What every database with this program's schema has: the worker's login and a workspace.
    static func prepare(_ settings: ConnectionSettings) async throws {
        let connection = try await Connection.open(settings)
        try await connection.runScript(
            """
            DO $$
            BEGIN
                CREATE ROLE \(workerRole) LOGIN IN ROLE jobworker;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;   -- another template has it
            END
            $$;
            INSERT INTO public.workspaces (id, name, slug) VALUES ('\(workspace.text)', 'Test', 'test');
            """)
        await connection.close()
    }
}

// MARK: - The database of the running test

extension TestDatabase {
    @TaskLocal fileprivate static var lent: TestDatabase?

    /// The running test's database; its suite or itself must have the trait `.database()`.
    package static var current: TestDatabase {
        guard let lent else { preconditionFailure("this test has no database: give its suite the trait .database()") }
        return lent
    }
}

/// Gives each test a database of its own.
package struct DatabaseTrait: SuiteTrait, TestTrait, TestScoping {
    fileprivate let contents: TestDatabase.Contents

    package typealias TestScopeProvider = DatabaseTrait

    package var isRecursive: Bool { true }

    package func scopeProvider(for test: Test, testCase: Test.Case?) -> DatabaseTrait? {
        testCase == nil ? nil : self
    }

    package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await TestCluster.withDatabase(contents) { database in
            try await TestDatabase.$lent.withValue(database) { try await function() }
        }
    }
}

extension Trait where Self == DatabaseTrait {
    package static func database(_ contents: TestDatabase.Contents = .schema) -> DatabaseTrait {
        DatabaseTrait(contents: contents)
    }
}
