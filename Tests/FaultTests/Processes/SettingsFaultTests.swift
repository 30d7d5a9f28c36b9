import Development
import Postgres
import Support
import Testing

/// Settings with which the worker can't start.
extension ProcessFaults {
    struct SettingsFaultTests {
        private static let canary = "canary-5f1e0c"

        @Test(arguments: [
            ["WORKER_ENCRYPTION_KEYS": "first:\(canary)"],
            ["WORKER_ENCRYPTION_KEYS": canary],
            ["WORKER_SECRET_TOKEN": "\(canary),,\(canary)"],
            ["WORKER_SECRET_TOKEN": "", "DATABASE_URL": "postgresql://user:\(canary)@localhost/none"],
            ["WORKER_SECRET_TOKEN": "a name:\(canary)"],
            ["DATABASE_URL": "mysql://user:\(canary)@localhost/none"],
            ["DATABASE_URL": "postgresql://user:\(canary)@localhost/none", "WORKER_MAX_CONCURRENT": "no number"],
            ["WORKER_STALE_AFTER_SECONDS": "1", "WORKER_HEARTBEAT_SECONDS": "15"],
            ["WORKER_INSTANCE": "../elsewhere"],
            ["DATABASE_URL": "postgresql://localhost:\(canary)/none"],
            ["DATABASE_URL": "postgresql://localhost:99999/none"],
            ["DATABASE_URL": "host=localhost sslmode=\(canary)"],
        ])
        func `a mistake in the settings ends the start with status 78, a name, and no secret`(
            settings: [String: String]
        ) async throws {
            let (status, output) = await runProgram(
                [BuiltProgram.path("jobworker"), "run"],
                environment: [
                    "DATABASE_URL": "postgresql:///none", "RUNTIME_DIRECTORY": "/tmp/jobworker-no-start",
                ].merging(settings) { $1 })
            #expect(status == 78, "\(output)")
            #expect(settings.keys.contains { output.contains($0) }, "\(output)")
            #expect(!output.contains(SettingsFaultTests.canary), "\(output)")
        }

        @Test(arguments: [
            "postgresql://user:\(canary)/rest@localhost/none", "postgresql://localhost/none?\(canary)",
            "host=localhost \(canary)", "host=localhost port=\(canary)", "postgresql://[\(canary)/none",
        ])
        func `a connection string that can't be read is told without quoting it`(string: String) async throws {
            let settings = ConnectionSettings(connectionString: string, applicationName: "test")
            let error = await #expect(throws: PostgresError.self) { _ = try await Connection.open(settings) }
            #expect(error?.description.contains("can't be read") == true, "\(error?.description ?? "no error")")
            #expect(error?.description.contains(SettingsFaultTests.canary) == false)
        }
    }
}
