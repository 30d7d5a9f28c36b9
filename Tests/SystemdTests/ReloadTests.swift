import Support
import Testing

extension UnderSystemd {
    @Suite struct ReloadTests {
        @Test func `a reload applies settings without a restart, and a mistake in them changes nothing`() async throws {
            let machine = try await WorkerMachine.prepared()
            let sandbox = machine.sandbox
            try await machine.start()
            let process = try await sandbox.property("MainPID", of: "jobworker")
            try sandbox.write("worker_max_concurrent: 7\n", to: "/etc/jobworker/config.yaml")
            try await sandbox.bash("systemctl reload jobworker")
            try await eventually("the new number holds") {
                try await machine.ask("/health").body.contains("\"max_concurrent\":7")
            }
            // RELOADING=1 was followed by READY=1, or systemd would still wait for it.
            try await eventually("the reload has ended") {
                try await sandbox.property("ActiveState", of: "jobworker") == "active"
            }
            #expect(try await sandbox.journal().contains("settings reloaded"))

            try sandbox.write("worker_max_concurrent: many\n", to: "/etc/jobworker/config.yaml")
            try await sandbox.bash("systemctl reload jobworker")
            try await eventually("the mistake is told") {
                try await sandbox.journal().contains("the settings were not reloaded")
            }
            try await eventually("the reload has ended") {
                try await sandbox.property("ActiveState", of: "jobworker") == "active"
            }
            #expect(try await machine.ask("/health").body.contains("\"max_concurrent\":7"))
            #expect(try await sandbox.property("MainPID", of: "jobworker") == process)
        }

        @Test func `a start with a mistake in the settings fails with status 78, and isn't tried again`() async throws {
            let machine = try await WorkerMachine.prepared()
            let sandbox = machine.sandbox
            try sandbox.write("worker_max_concurrent: many\n", to: "/etc/jobworker/config.yaml")
            #expect(await sandbox.run(["systemctl", "start", "jobworker"]).status != 0)
            #expect(try await sandbox.property("ExecMainStatus", of: "jobworker") == "78")
            #expect(try await sandbox.property("ActiveState", of: "jobworker") == "failed")
            #expect(try await sandbox.property("NRestarts", of: "jobworker") == "0")
            #expect(try await sandbox.journal().contains("WORKER_MAX_CONCURRENT"))
        }
    }
}
