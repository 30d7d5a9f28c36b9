import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// SIGTERM in every state of the worker.
extension ProcessFaults {
    @Suite(.database()) struct StopTests {
        let database = TestDatabase.current

        @Test func `an idle worker ends at once, and its last line says why`() async throws {
            let worker = try await RunningDaemon.startQuick(database)
            try await worker.signal(SIGTERM)
            #expect(await worker.ended() == 0)
            #expect(worker.lastLogLine.contains("worker stopped") && worker.lastLogLine.contains("SIGTERM"))
            #expect(try await database.count("stopped_at IS NOT NULL", of: "public.job_workers") == 1)
        }

        @Test func `what a stopping worker gives back costs no attempt and goes to another at once`() async throws {
            try await database.makeLedger()
            let first = try await RunningDaemon.startQuick(
                database, instance: "first", environment: ["WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0.5"])
            try await database.insertLedgerJobs(5, seconds: 600, beat: 0.1)
            try await database.waitUntil("(SELECT count(*) FROM public.ledger WHERE event = 'start') = 5")
            let second = try await RunningDaemon.startQuick(
                database, instance: "second", environment: ["WORKER_POLL_INTERVAL_MS": "300000"])
            try await first.signal(SIGTERM)
            #expect(await first.ended() == 0)
            #expect(await first.notifyHasSaidStopping)
            // Woken by a notification: its next poll is minutes away.
            try await database.waitUntil("(SELECT count(*) FROM public.ledger WHERE event = 'start') = 10")
            #expect(try await database.count("event = 'stopped'", of: "public.ledger") == 5)
            #expect(try await database.count("attempts = 1 AND worker_id = '\(second.workerID)'") == 5)
            #expect(try await database.overlappingRuns() == 0)
            try await second.stopAtOnce()
            #expect(try await database.count("attempts = 0 AND status = 'pending' AND NOT lease_open") == 5)
            #expect(second.lastLogLine.contains("worker stopped"))
        }

        @Test func `a stop in the first moments ends the process cleanly`() async throws {
            var ends: [Int32: Int] = [:]
            for _ in 0..<40 {
                let worker = try RunningDaemon.quick(database)
                try await Task.sleep(for: .milliseconds(Int.random(in: 0..<300)))
                try await worker.signal(SIGTERM)
                let status = await worker.ended() ?? -1
                ends[status, default: 0] += 1
                // Until the signal is trapped it ends the process itself, before any work.
                #expect([0, 128 + SIGTERM].contains(status), "\(worker.log)")
                if status == 0 { #expect(worker.lastLogLine.contains("worker stopped"), "\(worker.log)") }
                if status != 0 { #expect(!worker.log.contains("worker started")) }
            }
            print("statuses of 40 workers stopped in their first 300 ms: \(ends)")
            #expect(ends[0] != nil)
        }

        @Test
        func `of five hundred jobs none is lost by restarts in their midst, and only what was given back runs again`()
            async throws
        {
            try await database.makeLedger()
            try await database.insertLedgerJobs(500, seconds: 0.05, beat: 0.02)
            let environment = ["WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0", "WORKER_JOB_LOGS": "none"]
            var worker = try await RunningDaemon.startQuick(database, environment: environment)
            let owner = worker
            for share in [100, 200, 300, 400] {
                try await database.waitUntil(
                    "(SELECT count(*) FROM public.jobs WHERE status = 'completed') >= \(share)", atMost: .seconds(120))
                try await worker.signal(SIGTERM)
                #expect(await worker.ended() == 0)
                worker = try await RunningDaemon.startQuick(
                    database, directory: owner.directory, environment: environment)
            }
            try await database.waitUntilQuiet(atMost: .seconds(120))
            await worker.stop()
            let repeated: Int =
                try await database.value(
                    "SELECT count(*) - count(DISTINCT job_id) FROM public.ledger WHERE event = 'start'")
                ?? -1
            let stopped = try await database.count("event = 'stopped'", of: "public.ledger")
            print("500 jobs over four restarts: \(stopped) given back, \(repeated) run again")
            #expect(try await database.count("status = 'completed' AND attempts = 1") == 500)
            #expect(repeated == stopped)
            #expect(try await database.count("event = 'done'", of: "public.ledger") == 500)
            #expect(try await database.overlappingRuns() == 0)
            withExtendedLifetime(owner) {}
        }

        @Test func `reloads in the midst of jobs drop none and start none twice`() async throws {
            try await database.makeLedger()
            let worker = try await RunningDaemon.startQuick(database, environment: ["WORKER_JOB_LOGS": "none"])
            try await database.insertLedgerJobs(300, seconds: 0.02, beat: 0.02)
            for share in stride(from: 20, through: 280, by: 20) {
                try await database.waitUntil(
                    "(SELECT count(*) FROM public.jobs WHERE status = 'completed') >= \(share)", atMost: .seconds(120))
                try await worker.signal(SIGHUP)
            }
            try await database.waitUntilQuiet(atMost: .seconds(120))
            try await worker.logs("settings reloaded")
            #expect(try await database.count("status = 'completed' AND attempts = 1") == 300)
            #expect(try await database.count("event = 'start'", of: "public.ledger") == 300)
            await worker.stop()
        }
    }
}

extension RunningDaemon {
    /// Whether it told systemd, after its end.
    fileprivate var notifyHasSaidStopping: Bool {
        get async { await notify.wait(within: .seconds(20)) { $0 == "STOPPING=1" } != nil }
    }
}
