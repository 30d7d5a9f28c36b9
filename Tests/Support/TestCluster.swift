package import Development
import Glibc
import JobWorker
import Migrations
import Postgres

/// The private PostgreSQL server of this test process: started by the first test that needs it, gone with the
/// process, however that ends.
package enum TestCluster {
    private static let server = Task {
        var options = PrivatePostgres.Options()
        options.isDurable = false
        options.isTemporary = true
        options.settings = [
            "max_connections": "300",
            // It would hold a template open now and then, and change what a plan test measures.
            "autovacuum": "off",
            "shared_buffers": "64MB",
            "max_wal_size": "256MB",
            "wal_level": "logical",
            "log_min_messages": "fatal",
        ]
        return try await PrivatePostgres.start(in: "\(fastFolder)/jobworker-tests-\(getpid())", options: options)
    }
    /// In memory, where there is room: a database is some 300 files to copy.
    private static var fastFolder: String {
        var space = statvfs()
        let hasRoom = statvfs("/dev/shm", &space) == 0 && UInt64(space.f_bavail) * UInt64(space.f_frsize) > 2 << 30
        return hasRoom && access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
    }
    /// Its superuser's sessions in the database `postgres`, for CREATE and DROP DATABASE.
    private static let administrator = Task {
        ConnectionPool(settings(database: "postgres", of: try await server.value), limit: 4)
    }
    /// Copying files is several times faster than the way by the log, which is the default from version 15 on.
    private static let copyOption = Task {
        let version: Int =
            try await administrator.value.query(
                "SELECT current_setting('server_version_num')::int AS version"
            ).first?.decode("version") ?? 0
        return version >= 150_000 ? "STRATEGY FILE_COPY" : ""
    }
    private static let templates = Templates()
    /// Tests of one process all start at once; more databases than this would only make each other slow.
    private static let places = Places(12)

    package static func postgres() async throws -> PrivatePostgres { try await server.value }

    /// Lends a new database of its own to `body`, and drops it afterwards.
    package static func withDatabase<Value: Sendable>(
        _ contents: TestDatabase.Contents, _ body: (TestDatabase) async throws -> Value
    ) async throws -> Value {
        await places.take()
        do {
            let value = try await lendDatabase(contents, body)
            await places.giveBack()
            return value
        } catch {
            await places.giveBack()
            throw error
        }
    }

    private static func lendDatabase<Value: Sendable>(
        _ contents: TestDatabase.Contents, _ body: (TestDatabase) async throws -> Value
    ) async throws -> Value {
        let server = try await server.value
        let name = "test_\(String(UInt64.random(in: .min ... .max), radix: 36))"
        let template = try await templates.name(for: contents)
        try await administrate("CREATE DATABASE \(name) TEMPLATE \(template) \(copyOption.value)")
        let database = TestDatabase(name: name, server: server, settings: settings(database: name, of: server))
        let result: Result<Value, any Error>
        do { result = .success(try await body(database)) } catch { result = .failure(error) }
        await database.close()
        // In a task of its own: a test that was cancelled must not leave its database behind.
        try await Task { try await administrate("DROP DATABASE \(name) WITH (FORCE)") }.value
        return try result.get()
    }

    fileprivate static func administrate(_ sql: String) async throws {
        try await administrator.value.query(Statement(stringLiteral: sql))
    }

    fileprivate static func settings(database: String, of server: PrivatePostgres) -> ConnectionSettings {
        ConnectionSettings(
            connectionString: server.connectionString(database: database), applicationName: "jobworker tests")
    }

    /// Databases to copy, made once for each kind of contents.
    private actor Templates {
        private var made: [TestDatabase.Contents: Task<String, any Error>] = [:]

        func name(for contents: TestDatabase.Contents) async throws -> String {
            if let task = made[contents] { return try await task.value }
            let task = Task { try await Templates.make(contents) }
            made[contents] = task
            return try await task.value
        }

        private static func make(_ contents: TestDatabase.Contents) async throws -> String {
            // Nothing of this machine's own, such as what its template1 may hold.
            guard contents != .nothing else { return "template0" }
            let name = "template_\(contents)"
            try await administrate("CREATE DATABASE \(name) TEMPLATE template0")
            let settings = settings(database: name, of: try await server.value)
            if contents != .schema {
                let connection = try await Connection.open(settings)
                for script in [PackageResources.application_schema_sql, PackageResources.application_rows_sql] {
                    try await connection.runScript(String(decoding: script, as: UTF8.self))
                }
                await connection.close()
            }
            if contents != .application {
                _ = try await Migrator(settings: settings).migrate()
                try await TestDatabase.prepare(settings)
            }
            return name
        }
    }
}

/// A number of places; who finds none waits, first come, first served.
private actor Places {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func take() async {
        guard free == 0 else {
            free -= 1
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
