import FoundationEssentials
import Testing

extension UnderSystemd {
    @Suite struct JournalTests {
        private struct Entry: Decodable, Equatable {
            var MESSAGE: String
            var JOB_ID: String
            var JOB_TYPE: String
            var JOB_QUEUE: String
            var WORKSPACE_ID: String
            var WORKER_ID: String
            var ATTEMPT: String
        }

        @Test func `journalctl gives the life of one job, in order and with its fields`() async throws {
            let machine = try await WorkerMachine.prepared([
                "WORKER_RETRY_BASE_SECONDS": "1", "WORKER_ID": "worker-a",
            ])
            try await machine.start()
            let job = try await machine.database.insertJob("fail", payload: "{\"message\": \"no luck\", \"times\": 1}")
            try await machine.database.insertJobs(5)
            try await machine.database.waitUntil(6, "status = 'completed'")
            try await machine.stop()
            let lines = try await machine.sandbox.bash("journalctl -u jobworker JOB_ID=\(job) -o json --no-pager")
            let entries = try lines.split(separator: "\n").map {
                try JSONDecoder().decode(Entry.self, from: Data($0.utf8))
            }
            #expect(
                entries.map { "\($0.ATTEMPT) \($0.MESSAGE)" } == [
                    "1 job started", "1 job failed, will retry", "2 job started", "2 job completed",
                ])
            for entry in entries {
                #expect(entry.JOB_ID == job)
                #expect(entry.JOB_TYPE == "fail")
                #expect(entry.JOB_QUEUE == "default")
                #expect(entry.WORKSPACE_ID == SandboxDatabase.workspace)
                #expect(entry.WORKER_ID == "worker-a")
            }
            // The package's catalogue is there, and knows the messages.
            let explained = try await machine.sandbox.bash("journalctl -x -u jobworker JOB_ID=\(job) --no-pager")
            #expect(explained.contains("Attempt 1 of the job \(job) (fail, queue default) begins"))
        }
    }
}
