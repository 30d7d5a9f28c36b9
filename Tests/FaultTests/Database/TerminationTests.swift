import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Sessions ended by an administrator, and a server that restarts, both under load.
struct TerminationTests {
    @Test(.database(), arguments: ["jobworker work", "jobworker listen", "jobworker %"])
    func `ending a worker's sessions again and again loses no job and repeats none`(application: String) async throws {
        let database = TestDatabase.current
        let ledger = Ledger()
        var (work, listen) = (database.workerSettings, database.workerSettings)
        work.applicationName = "jobworker work"
        listen.applicationName = "jobworker listen"
        try await database.withWorker(
            ledger.processor(lasting: .milliseconds(5)), through: work, listen: listen,
            change: { $0.hasten(lease: .seconds(4)) }
        ) { first in
            try await database.withWorker(
                ledger.processor(lasting: .milliseconds(5)), through: work, listen: listen,
                change: { $0.hasten(lease: .seconds(4)) }
            ) { second in
                for _ in 1...40 {
                    try await database.insertJobs(10)
                    try await database.query(
                        """
                        SELECT pg_terminate_backend(pid) FROM (
                            SELECT pid FROM pg_stat_activity
                            WHERE datname = current_database() AND application_name LIKE \(application)
                              AND application_name <> 'jobworker tests'
                            ORDER BY random() LIMIT 2) AS chosen
                        """)
                }
                try await database.waitUntilQuiet()
                #expect(try await database.count("status = 'completed'") == 400)
                #expect(ledger.jobs == 400)
                #expect(ledger.repeated == 0)
                try await eventually("both listen again") {
                    first.state.snapshot.isListening && second.state.snapshot.isListening
                }
            }
        }
    }

    @Test func `a server that restarts and crashes again and again under load loses no job and repeats none`()
        async throws
    {
        try await TestDatabase.withServer({ $0.isDurable = true }) { database in
            var environment = [
                "WORKER_STALE_AFTER_SECONDS": "10", "WORKER_HEARTBEAT_SECONDS": "1", "WORKER_RETRY_BASE_SECONDS": "1",
            ]
            environment["WORKER_INSTANCE"] = "one"
            let first = try await RunningDaemon.start(database, environment: environment)
            environment["WORKER_INSTANCE"] = "two"
            let second = try await RunningDaemon.start(database, environment: environment)
            var acknowledged = 0
            for round in 1...8 {
                for _ in 1...5 {
                    try await database.insertJobs(10, type: "sleep", payload: "{\"seconds\": 0.05}")
                    acknowledged += 10
                }
                try await database.server.restart(round.isMultiple(of: 2) ? .fast : .immediate)
                await database.pool.closeIdle()
            }
            try await eventually("all is done", atMost: .seconds(200)) {
                try await database.count("status <> 'completed'") == 0
            }
            #expect(try await database.count("status = 'completed'") == acknowledged)
            for daemon in [first, second] {
                #expect(try await daemon.request("GET", "/readyz").status == 200)
                daemon.send(.terminate)
                #expect(await daemon.ended() == 0)
                await daemon.stop()
            }
            // Only a claim whose answer was lost costs an attempt, and says so; nothing was completed twice.
            let extra: Int = try await database.value("SELECT sum(attempts - 1)::int AS extra FROM public.jobs") ?? 0
            #expect(
                try await database.count("message LIKE 'The worker that ran attempt%'", of: "public.job_logs") == extra)
            #expect(
                try await database.count("message LIKE 'Completed in%'", of: "public.job_logs") == acknowledged)
        }
    }
}
