package import FoundationEssentials
import JobWorker
package import Postgres

/// A database of its own on the server that is measured, so that nobody's data are touched. Dropped at the end.
package struct BenchDatabase: Sendable {
    package let name: String
    package let settings: ConnectionSettings
    private let server: ConnectionSettings

    /// The workspace to which the jobs belong.
    package let workspaceID = UUID()

    /// - Parameter connectionString: Of a login that may make databases.
    package static func create(connectionString: String) async throws -> BenchDatabase {
        let server = ConnectionSettings(connectionString: connectionString, applicationName: "jobworker bench")
        let name = "jobworker_bench_\(String(UInt32.random(in: .min ... .max), radix: 16))"
        let connection = try await Connection.open(server)
        do {
            try await connection.runScript("CREATE DATABASE \(name)")
            await connection.close()
        } catch {
            await connection.close()
            throw error
        }
        var settings = server
        settings.databaseName = name
        let database = BenchDatabase(name: name, settings: settings, server: server)
        do {
            _ = try await Migrator(settings: settings).migrate()
            let inside = try await Connection.open(settings)
            _ = try await inside.query(
                "INSERT INTO public.workspaces (id, name, slug) VALUES (\(database.workspaceID), 'Bench', 'bench')")
            await inside.close()
            return database
        } catch {
            try? await database.drop()
            throw error
        }
    }

    private init(name: String, settings: ConnectionSettings, server: ConnectionSettings) {
        self.name = name
        self.settings = settings
        self.server = server
    }

    /// Removes the database, sessions of others included.
    package func drop() async throws {
        let connection = try await Connection.open(server)
        do {
            try await connection.runScript("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
            await connection.close()
        } catch {
            await connection.close()
            throw error
        }
    }
}
