import Support
import Testing

extension UnderSystemd {
    @Suite struct WatchdogTests {
        @Test func `a worker that hangs is killed and started again, and its jobs are taken back and completed`()
            async throws
        {
            let machine = try await WorkerMachine.prepared(["WORKER_RETRY_BASE_SECONDS": "1"])
            try await machine.edit("jobworker.service", "[Service]\nWatchdogSec=2s")
            try await machine.start()
            let sandbox = machine.sandbox
            let hung = try await sandbox.property("MainPID", of: "jobworker")
            let database = machine.database
            try await database.insertJobs(3, "sleep", payload: "{\"seconds\": 3}")
            try await database.waitUntil(3, "status = 'processing'")
            try await sandbox.bash("kill -STOP \(hung)")
            try await eventually("systemd starts it again") {
                try await sandbox.property("NRestarts", of: "jobworker") == "1"
            }
            let journal = try await sandbox.journal()
            #expect(journal.contains("Failed with result 'watchdog'"))
            // It ended by the first signal, and nothing of its memory was printed.
            #expect(!journal.contains("SIGKILL") && !journal.contains("acktrac"), "\(journal)")
            try await database.waitUntil(3, "status = 'completed' AND attempts = 2")
            #expect(try await sandbox.property("MainPID", of: "jobworker") != hung)
            #expect(try await sandbox.property("ActiveState", of: "jobworker") == "active")
            // And no more than once.
            #expect(try await sandbox.property("NRestarts", of: "jobworker") == "1")
        }
    }
}
