import Development
package import FoundationEssentials
import JobWorker
package import Postgres

/// A database of its own on the server that is measured, so that nobody's data are touched, and a role of its own that
/// the measured workers act as. Both are dropped at the end.
package struct BenchDatabase: Sendable {
    package let name: String
    /// As the login that was given: owns the tables.
    package let settings: ConnectionSettings
    /// As a worker's login in production: a member of `jobworker`, for whom the row policies hold.
    ///
    /// The same login as `settings`, acting as that member; or no more than `settings` where it may not make roles.
    package let workerSettings: ConnectionSettings
    /// The member of `jobworker`; `nil` where the login may not make roles.
    package let workerRole: String?
    /// Another database of the server, for looks at this one from outside.
    let server: ConnectionSettings

    /// The workspace to which the jobs belong.
    package let workspaceID: UUID

    /// - Parameter connectionString: Of a login that may make databases.
    package static func create(connectionString: String) async throws -> BenchDatabase {
        let server = ConnectionSettings(connectionString: connectionString, applicationName: "jobworker bench")
        let name = "jobworker_bench_\(String(UInt32.random(in: .min ... .max), radix: 16))"
        let administrator = try await Connection.open(server)
        do {
            try await administrator.runScript("CREATE DATABASE \(name)")
        } catch {
            await administrator.close()
            throw error
        }
        var settings = server
        settings.databaseName = name
        // Millions of rows take their time.
        (settings.statementTimeout, settings.answerTimeout) = (.seconds(3600), .seconds(3600))
        var role: String?
        let workspace = UUID()
        do {
            _ = try await Migrator(settings: settings).migrate()
            role = try await makeWorker(name, administrator)
            var workerSettings = server
            workerSettings.connectionString = try server.connectionString(forDatabase: name, role: role)
            let inside = try await Connection.open(settings)
            _ = try await inside.query(
                "INSERT INTO public.workspaces (id, name, slug) VALUES (\(workspace), 'Bench', 'bench')")
            await inside.close()
            await administrator.close()
            return BenchDatabase(
                name: name, settings: settings, workerSettings: workerSettings, workerRole: role, server: server,
                workspaceID: workspace)
        } catch {
            await administrator.close()
            try? await drop(name, role: role, on: server)
            throw error
        }
    }

    /// - Returns: The role's name; `nil` where the login may not make it.
    private static func makeWorker(
        _ name: String, _ administrator: Connection
    ) async throws(PostgresError) -> String? {
        do {
            // The role `jobworker` itself may be exempt from row policies; its members never are.
            try await administrator.runScript(
                "CREATE ROLE \(name) NOLOGIN IN ROLE jobworker; GRANT \(name) TO CURRENT_USER")
            return name
        } catch {
            guard error.sqlState == "42501" else { throw error }
            return nil
        }
    }

    private init(
        name: String, settings: ConnectionSettings, workerSettings: ConnectionSettings, workerRole: String?,
        server: ConnectionSettings, workspaceID: UUID
    ) {
        self.name = name
        self.settings = settings
        self.workerSettings = workerSettings
        self.workerRole = workerRole
        self.server = server
        self.workspaceID = workspaceID
    }

    /// For programs that are given a string: a worker process, pgbench.
    package var workerConnectionString: String { workerSettings.connectionString }

    /// Who the measured workers are, in words.
    package var workerWords: String {
        workerRole == nil
            ? "the login itself, as it may not make roles" : "a member of jobworker, under the row policies"
    }

    /// Writes out what a preparation left behind, so that it isn't part of what is measured; nothing where the login may
    /// not.
    func checkpoint(_ connection: Connection) async throws(PostgresError) {
        do {
            try await connection.runScript("CHECKPOINT")
        } catch {
            guard error.sqlState == "42501" else { throw error }
        }
    }

    /// Asks again and again until a condition holds.
    /// - Parameter condition: A query whose only row has the column `is_so`.
    func wait(
        until condition: Statement, within limit: Duration = .seconds(600), _ connection: Connection
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while try await connection.query(condition).first?.decode("is_so", as: Bool.self) != true {
            guard ContinuousClock.now < deadline else {
                throw DevelopmentError("it did not come to this within \(limit): \(condition.sql)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Removes the database, sessions of others included, and the role.
    package func drop() async throws {
        try await BenchDatabase.drop(name, role: workerRole, on: server)
    }

    private static func drop(_ name: String, role: String?, on server: ConnectionSettings) async throws {
        let connection = try await Connection.open(server)
        do {
            try await connection.runScript("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
            if let role { try await connection.runScript("DROP ROLE IF EXISTS \(role)") }
            await connection.close()
        } catch {
            await connection.close()
            throw error
        }
    }
}
