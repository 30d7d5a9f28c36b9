import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Jobs that do harm to their worker.
extension ProcessFaults {
    @Suite(.database()) struct PoisonJobTests {
        let database = TestDatabase.current

        @Test func `a job that ends its worker each time fails after three deaths, the others lose at most a retry`()
            async throws
        {
            try await database.makeLedger()
            let poison = try await database.insertJob("trap", payload: #"{"seconds": 0.3}"#, maxAttempts: 10)
            try await database.insertLedgerJobs(60, seconds: 0.2, beat: 0.1)
            // What a supervisor does.
            var deaths = 0
            var worker = try RunningDaemon.quick(database)
            let first = worker
            while true {
                let running = worker
                let stopping = Task {
                    let isQuiet = (try? await database.waitUntilQuiet(atMost: .seconds(180))) != nil
                    if !Task.isCancelled { try? await running.signal(SIGTERM) }
                    return isQuiet
                }
                let status = await running.ended()
                stopping.cancel()
                // It ends without a fault where it was told to.
                if await stopping.value || status == 0 {
                    #expect(status == 0)
                    break
                }
                deaths += 1
                guard deaths < 20 else { break }
                worker = try RunningDaemon.quick(database, directory: first.directory)
            }
            let culprit = try await database.job(poison)
            print("a poison job: \(deaths) deaths, \(culprit.attempts ?? 0) attempts")
            #expect(culprit.status == "failed")
            #expect(culprit.errorMessage?.contains("Three workers died running this job") == true)
            #expect(deaths == 3)
            // Its successor tells which job it was.
            let line = worker.log.split(separator: "\n").first { $0.contains("job given up") }
            #expect(line?.contains("\"JOB_ID\":\"\(poison.text)\"") == true)
            #expect(try await database.count("job_type = 'ledger' AND status = 'completed'") == 60)
            #expect(try await database.count("job_type = 'ledger' AND attempts > 2") == 0)
            #expect(try await database.misreportedJobs() == 0)
            withExtendedLifetime(first) {}
        }

        @Test func `a job that ends its worker once is completed at the next attempt`() async throws {
            let id = try await database.insertJob("trap", payload: #"{"attempts": 1}"#)
            let first = try RunningDaemon.quick(database)
            #expect(await first.ended() == 128 + SIGABRT)
            let second = try await RunningDaemon.startQuick(database, directory: first.directory)
            try await database.waitUntil("status = 'completed'", atMost: .seconds(60))
            #expect(try await database.job(id).attempts == 2)
            #expect(try await database.job(id).workerDeaths == 0)
            await second.stop()
        }

        @Test func `results the database can't hold fail their own jobs, and what is near the limits is kept`()
            async throws
        {
            let results = [
                "no JSON": "{broken", "NUL": #"{"text": "a\u0000b"}"#, "not UTF-16": #"{"text": "\ud800"}"#,
                "too large a number": "1e200000",
                "too deep": String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000),
                "100 MB": "\"" + String(repeating: "x", count: 100 << 20) + "\"",
                "deep": String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000),
                "fine": "{}",
            ]
            let processor = ScriptedProcessor("result") { job, _ in
                let payload: [String: String] = try job.payload.decode()
                return results[payload["kind"] ?? ""].map { JSONText($0) }
            }
            for kind in results.keys { try await database.insertJob("result", payload: "{\"kind\": \"\(kind)\"}") }
            try await database.withWorker(processor, change: { $0.maxConcurrent = results.count }) { worker in
                try await database.waitUntilQuiet(atMost: .seconds(180))
                // It goes on.
                try await database.insertJob("result", payload: #"{"kind": "fine"}"#)
                try await database.waitUntilQuiet()
                #expect(worker.state.snapshot.counts.failed == 6)
            }
            #expect(try await database.count("status = 'completed' AND payload ->> 'kind' IN ('fine', 'deep')") == 3)
            #expect(
                try await database.count(
                    "status = 'failed' AND attempts = 1 AND error_message LIKE 'The job ran, but its result %'"
                ) == 6)
        }
    }
}
