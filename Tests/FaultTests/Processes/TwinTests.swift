import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Two processes that were given the same name by mistake.
extension ProcessFaults {
    @Suite(.database()) struct TwinTests {
        let database = TestDatabase.current

        @Test func `two processes with one worker's id run each job once`() async throws {
            try await database.makeLedger()
            let name = ["WORKER_ID": "the-same", "WORKER_JOB_LOGS": "none"]
            let first = try await RunningDaemon.startQuick(database, instance: "first", environment: name)
            let second = try await RunningDaemon.startQuick(database, instance: "second", environment: name)
            try await database.insertLedgerJobs(400, seconds: 0.01)
            try await database.waitUntilQuiet(atMost: .seconds(120))
            #expect(try await database.count("status = 'completed' AND attempts = 1") == 400)
            #expect(try await database.count("event = 'start'", of: "public.ledger") == 400)
            #expect(try await database.value("SELECT count(DISTINCT pid) FROM public.ledger") == 2)
            // What one of them leaves behind is taken back although the other bears its name.
            try await database.insertLedgerJobs(10, seconds: 3, beat: 0.1)
            try await database.waitUntil("status = 'processing'")
            try await first.die()
            try await database.waitUntilQuiet(atMost: .seconds(180))
            #expect(try await database.count("status = 'completed'") == 410)
            #expect(try await database.overlappingRuns() == 0)
            #expect(try await database.misreportedJobs() == 0)
            await second.stop()
        }

        @Test func `a twin of the same instance takes nothing back, and warns`() async throws {
            try await database.makeLedger()
            let first = try await RunningDaemon.startQuick(database)
            try await database.insertLedgerJobs(1, seconds: 600)
            try await database.waitUntil("event = 'start'", of: "public.ledger")
            let twin = try await RunningDaemon.startQuick(
                database, directory: first.directory, environment: ["WORKER_SOCKET": first.directory + "/twin.sock"])
            #expect(twin.log.contains("give each its own WORKER_INSTANCE"))
            // It has looked at the queue when it has run something.
            try await database.insertJob("noop")
            try await database.waitUntil("job_type = 'noop' AND status = 'completed'")
            #expect(
                try await database.count(
                    "status = 'processing' AND attempts = 1 AND worker_id = '\(first.workerID)' AND worker_deaths = 0")
                    == 1)
            await twin.stop()
            try await first.die()
        }

        @Test func `a twin that would take the socket as well ends and says why`() async throws {
            let first = try await RunningDaemon.startQuick(database)
            let twin = try RunningDaemon.quick(database, directory: first.directory)
            #expect(await twin.ended() == 1)
            #expect(twin.lastLogLine.contains("worker.sock"), "\(twin.lastLogLine)")
            #expect(try await first.request("GET", "/healthz").status == 200)
            await first.stop()
        }
    }
}
