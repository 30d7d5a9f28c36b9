import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Cancels and retries at any moment.
extension ProcessFaults {
    @Suite(.database()) struct ChangeTests {
        let database = TestDatabase.current

        @Test func `a cancel at any moment, and once more, never takes a final status away`() async throws {
            try await database.makeAudit()
            let database = database
            let processor = ScriptedProcessor("short") { _, _ in
                try await Task.sleep(for: .milliseconds(Int.random(in: 0..<30)))
                return JSONText("{}")
            }
            let results = Counter<String>()
            try await database.withWorker(
                processor, listen: database.workerSettings, change: { $0.maxConcurrent = 20 }
            ) { worker in
                for await _ in worker.state.transitions where worker.state.snapshot.isListening { break }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<6 {
                        group.addTask {
                            for _ in 0..<100 {
                                let id = try await database.insertJob("short")
                                try await Task.sleep(for: .milliseconds(Int.random(in: 0..<60)))
                                for _ in 0..<2 {
                                    do {
                                        try await database.query("SELECT jobworker.cancel_job(\(id))")
                                        results.add("cancelled")
                                    } catch let error as PostgresError where error.sqlState == "JW409" {
                                        results.add("too late")
                                    }
                                }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                try await database.waitUntilQuiet(atMost: .seconds(60))
            }
            let cancelled = try await database.count("status = 'cancelled'")
            print("600 jobs cancelled twice at any moment: \(cancelled) cancelled, the others completed")
            #expect(try await database.count("status IN ('completed', 'cancelled') AND NOT lease_open") == 600)
            #expect(cancelled == results["cancelled"])
            #expect((1..<600).contains(cancelled), "one of both never happened: this shows nothing")
            #expect(try await database.count("status = 'cancelled' AND result IS NOT NULL") == 0)
            #expect(try await database.regressions() == 0)
        }

        @Test func `fifty retries of one failed job at once make one new start`() async throws {
            try await database.makeAudit()
            let database = database
            let id = try await database.insertJob("noop", status: .failed, attempts: 5, errorMessage: "broken")
            let answers = Counter<String>()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        do {
                            try await database.query("SELECT jobworker.retry_job(\(id))")
                            answers.add("due")
                        } catch {
                            answers.add("\(error)")
                        }
                    }
                }
            }
            #expect(answers.all == ["due": 50])
            #expect(
                try await database.count("old_status = 'failed' AND new_status = 'pending'", of: "public.audit") == 1)
            #expect(try await database.count("old_status IS NOT NULL", of: "public.audit") == 1)
            #expect(try await database.count("action = 'job.retry'", of: "public.job_audit") == 1)
            try await database.withWorker(ScriptedProcessor("noop")) { _ in try await database.waitUntilQuiet() }
            let job = try await database.job(id)
            #expect(job.status == "completed" && job.attempts == 1 && job.errorMessage == nil)
        }
    }
}
