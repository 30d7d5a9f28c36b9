import Support
import Testing

extension UnderSystemd {
    @Suite struct MigrateTests {
        @Test func `the migration brings an empty database up, and a worker that waited for it goes on`() async throws {
            let machine = try await WorkerMachine.prepared(isMigrated: false)
            let sandbox = machine.sandbox
            try await machine.database.run("CREATE ROLE worker LOGIN")
            try await machine.edit("jobworker.service", "[Service]\nTimeoutStartSec=2s")
            try await sandbox.bash("systemctl start --no-block jobworker")
            try await eventually("the status tells of the migration") {
                try await sandbox.property("StatusText", of: "jobworker").contains("jobworker migrate")
            }
            #expect(try await sandbox.property("ActiveState", of: "jobworker") == "activating")
            try await sandbox.bash("systemctl start jobworker-migrate")
            #expect(try await sandbox.property("Result", of: "jobworker-migrate") == "success")
            #expect(try await sandbox.journal("jobworker-migrate").contains("migrations applied"))
            try await machine.database.run("GRANT jobworker TO worker")
            try await eventually("it becomes active") {
                try await sandbox.property("ActiveState", of: "jobworker") == "active"
            }
            // Once more is no mistake.
            try await sandbox.bash("systemctl start jobworker-migrate")
            #expect(try await sandbox.property("Result", of: "jobworker-migrate") == "success")
        }
    }
}
