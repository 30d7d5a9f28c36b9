package import Development
import Glibc
import JobWorker
import Postgres

extension TestDatabase {
    /// Lends a database on a server of its own, which a test may stop, restart or break.
    package static func withServer<Value: Sendable>(
        in directory: String? = nil, _ change: (inout PrivatePostgres.Options) -> Void = { _ in },
        _ body: (TestDatabase) async throws -> Value
    ) async throws -> Value {
        var options = PrivatePostgres.Options()
        options.isDurable = false
        options.isTemporary = directory == nil
        options.settings = ["shared_buffers": "32MB", "log_min_messages": "fatal"]
        change(&options)
        let number = String(UInt32.random(in: .min ... .max), radix: 36)
        let server = try await PrivatePostgres.start(
            in: directory ?? "/tmp/jobworker-server-\(getpid())-\(number)", options: options)
        let result: Result<Value, any Error>
        do { result = .success(try await lend(server, body)) } catch { result = .failure(error) }
        // In a task of its own: a test that was cancelled must not leave it behind.
        await Task { await server.stop(.immediate) }.value
        return try result.get()
    }

    private static func lend<Value: Sendable>(
        _ server: PrivatePostgres, _ body: (TestDatabase) async throws -> Value
    ) async throws -> Value {
        let settings = ConnectionSettings(
            connectionString: server.connectionString(), applicationName: "jobworker tests")
        _ = try await Migrator(settings: settings).migrate()
        try await prepare(settings)
        let database = TestDatabase(name: "postgres", server: server, settings: settings)
        do {
            let value = try await body(database)
            await database.close()
            return value
        } catch {
            await database.close()
            throw error
        }
    }
}
