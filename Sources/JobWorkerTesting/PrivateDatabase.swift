import Development
public import FoundationEssentials
import Glibc
import JobWorker
import Postgres

/// A database for one test, on a PostgreSQL server that this process starts from the installed programs and that ends
/// with it. It has the worker's tables and a workspace.
///
///     try await PrivateDatabase.with { database in
///         let jobs = JobClient(database: database.url)
///         …
///     }
public struct PrivateDatabase: Sendable {
    /// A connection string for libpq.
    public let url: String
    /// A workspace that is there.
    public let workspaceID: UUID

    /// Lends a new database to `body`, and drops it afterwards.
    /// - Throws: What `body` throws; an error that says what is missing, where PostgreSQL isn't installed.
    public static func with<Value: Sendable>(_ body: (PrivateDatabase) async throws -> Value) async throws -> Value {
        let server = try await PrivateServer.shared.value
        let name = "test_\(String(UInt64.random(in: .min ... .max), radix: 36))"
        try await server.administrate("CREATE DATABASE \(name) TEMPLATE \(PrivateServer.template)")
        let database = PrivateDatabase(url: server.url(of: name), workspaceID: PrivateServer.workspace)
        let result: Result<Value, any Error>
        do { result = .success(try await body(database)) } catch { result = .failure(error) }
        // In a task of its own: a test that was cancelled must not leave its database behind.
        try await Task { try await server.administrate("DROP DATABASE \(name) WITH (FORCE)") }.value
        return try result.get()
    }
}

/// The server of this process, with a database to copy.
private struct PrivateServer: Sendable {
    static let template = "jobworker_template"
    static let workspace = UUID()
    static let shared = Task { try await PrivateServer() }

    private let postgres: PrivatePostgres
    private let administrator: ConnectionPool

    private init() async throws {
        var options = PrivatePostgres.Options()
        options.isDurable = false
        options.isTemporary = true
        options.settings = ["log_min_messages": "fatal"]
        let started = try await PrivatePostgres.start(in: "/tmp/jobworker-testing-\(getpid())", options: options)
        postgres = started
        administrator = ConnectionPool(
            ConnectionSettings(connectionString: started.connectionString(), applicationName: "jobworker testing"),
            limit: 1)
        try await administrate("CREATE DATABASE \(PrivateServer.template) TEMPLATE template0")
        let settings = ConnectionSettings(
            connectionString: url(of: PrivateServer.template), applicationName: "jobworker testing")
        _ = try await Migrator(settings: settings).migrate()
        let connection = try await Connection.open(settings)
        let workspace = PrivateServer.workspace
        _ = try await connection.query(
            "INSERT INTO public.workspaces (id, name, slug) VALUES (\(workspace), 'Test', 'test')")
        await connection.close()
    }

    func url(of database: String) -> String { postgres.connectionString(database: database) }

    func administrate(_ sql: String) async throws {
        _ = try await administrator.query(Statement(stringLiteral: sql))
    }
}
