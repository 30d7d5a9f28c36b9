import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Workers that are killed.
extension ProcessFaults {
    @Suite(.database()) struct KillTests {
        let database = TestDatabase.current

        @Test func `a killed worker's job is taken back by another, its attempt counted, and runs again`() async throws
        {
            try await database.makeLedger()
            let first = try await RunningDaemon.startQuick(database, instance: "first")
            try await database.insertLedgerJobs(1, seconds: 2, beat: 0.1)
            try await database.waitUntil("event = 'start'", of: "public.ledger")
            let second = try await RunningDaemon.startQuick(database, instance: "second")
            try await first.die()
            try await database.waitUntil("status = 'completed'", atMost: .seconds(120))
            #expect(
                try await database.count("attempts = 2 AND NOT lease_open AND worker_id = '\(second.workerID)'") == 1)
            #expect(
                try await database.count("message LIKE 'The worker that ran attempt 1%'", of: "public.job_logs") == 1)
            #expect(try await database.count("event = 'start'", of: "public.ledger") == 2)
            #expect(try await database.count("event = 'done'", of: "public.ledger") == 1)
            #expect(try await database.overlappingRuns() == 0)
            await second.stop()
            #expect(second.lastLogLine.contains("worker stopped") && second.lastLogLine.contains("SIGTERM"))
        }

        /// `FAULT_KILLS` sets the number of kills; there are 100 jobs for each.
        @Test func `of a worker killed again and again no job is lost, and none runs twice at once`() async throws {
            let kills = ProcessInfo.processInfo.environment["FAULT_KILLS"].flatMap { Int($0) } ?? 25
            let jobs = kills * 100
            try await database.makeLedger()
            try await database.insertLedgerJobs(jobs, seconds: 0.02, beat: 0.02, maxAttempts: 10)
            let environment = ["WORKER_MAX_CONCURRENT": "8", "WORKER_JOB_LOGS": "none"]
            var worker = try RunningDaemon.quick(database, environment: environment)
            let owner = worker
            for _ in 0..<kills {
                // Also while it still starts.
                try await Task.sleep(for: .milliseconds(Int.random(in: 0..<800)))
                try await worker.die()
                worker = try RunningDaemon.quick(database, directory: owner.directory, environment: environment)
            }
            let limit = Duration.seconds(120 + jobs / 20)
            try await database.waitUntilQuiet(atMost: limit)
            await worker.stop()
            let runs = try await database.count("event = 'start'", of: "public.ledger")
            let cut: Int =
                try await database.value(
                    """
                    SELECT count(*) FROM (SELECT run FROM public.ledger GROUP BY run
                                          HAVING bool_and(event NOT IN ('done', 'stopped'))) AS cut
                    """) ?? 0
            let completed = try await database.count("status = 'completed'")
            // Three deaths in a row as the only suspect look like poison; it is told, not lost.
            let poison = try await database.count("status = 'failed' AND worker_deaths = 3")
            let overlaps = try await database.overlappingRuns()
            print(
                "\(kills) kills, \(jobs) jobs: \(completed) completed, \(poison) taken for poison, \(runs) runs, "
                    + "\(cut) cut off, \(overlaps) overlapping")
            #expect(completed + poison == jobs)
            #expect(poison <= kills / 25)
            #expect(cut > 0, "no kill met a running job: this shows nothing")
            #expect(overlaps == 0)
            #expect(try await database.misreportedJobs() == 0)
            #expect(try await database.count("lease_open") == 0)
            withExtendedLifetime(owner) {}
        }
    }
}
