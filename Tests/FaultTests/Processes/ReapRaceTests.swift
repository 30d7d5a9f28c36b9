import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Reapers against completions, and against each other.
extension ProcessFaults {
    @Suite(.database()) struct ReapRaceTests {
        let database = TestDatabase.current

        @Test func `of a completion and a reaping one happens, whichever comes first`() async throws {
            try await database.makeAudit()
            let store = database.store()
            let database = database
            let wins = Counter<String>()
            for round in 0..<300 {
                let id = try await database.insertJob("noop", status: .processing, attempts: 1)
                let token: Int64 = try await database.value(
                    """
                    UPDATE public.jobs SET lease_token = nextval('jobworker.lease_tokens'), lease_open = true,
                        worker_heartbeat_at = now() - interval '1 hour' WHERE id = \(id) RETURNING lease_token
                    """)!
                let claim = Claim(jobID: id, token: token)
                // Every third time somebody holds the row for a moment.
                let holder = Task {
                    guard round % 3 == 0 else { return }
                    try await database.pool.transaction { connection in
                        _ = try connection.execute("SELECT FROM public.jobs WHERE id = \(id) FOR UPDATE")
                        usleep(UInt32.random(in: 0..<8000))
                    }
                }
                let pauses = (Int.random(in: 0..<2000), Int.random(in: 0..<2000))
                async let completed = {
                    try await Task.sleep(for: .microseconds(pauses.0))
                    return try await store.complete([(claim, JSONText("{}"))]).contains(claim)
                }()
                async let reaped = {
                    try await Task.sleep(for: .microseconds(pauses.1))
                    return try await store.reap(.test(staleAfter: .seconds(60)))
                }()
                var (isCompleted, taken) = (try await completed, try await reaped)
                try await holder.value
                if !isCompleted, taken == 0 {
                    // Both passed the locked row over; both come again.
                    taken = try await store.reap(.test(staleAfter: .seconds(60)))
                    isCompleted = try await store.complete([(claim, JSONText("{}"))]).contains(claim)
                }
                let status = try await database.job(id).status
                wins.add(isCompleted ? "completed" : "taken back")
                #expect(isCompleted != (taken == 1))
                #expect(status == (isCompleted ? "completed" : "pending"))
                #expect(try await database.job(id).workerDeaths == (isCompleted ? 0 : 1))
            }
            print("a completion against a reaper: \(wins.all)")
            #expect(wins.all.count == 2, "only one of both ever won: this shows nothing")
            #expect(try await database.regressions() == 0)
        }

        @Test func `of a thousand orphans each is taken back once by several workers, one of them killed halfway`()
            async throws
        {
            try await database.makeAudit()
            try await database.query(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload, status, attempts, max_attempts, worker_id,
                                         lease_token, lease_open, started_at, worker_heartbeat_at)
                SELECT \(TestDatabase.workspace), 'noop', '{}', 'processing', 1, 5, 'gone',
                       nextval('jobworker.lease_tokens'), true, now(), now() - interval '1 hour'
                FROM generate_series(1, 1000)
                """)
            let workers = try (1...4).map { number in
                try RunningDaemon.quick(
                    database, instance: "reaper-\(number)",
                    environment: ["WORKER_RETRY_BASE_SECONDS": "3600", "WORKER_RETRY_MAX_SECONDS": "3600"])
            }
            try await database.waitUntil("status = 'pending'", atMost: .seconds(120))
            try await workers[0].die()
            let deadline = ContinuousClock.now + .seconds(120)
            while try await database.count("status = 'processing'") > 0, ContinuousClock.now < deadline {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try await database.count("status = 'pending' AND attempts = 1 AND worker_deaths = 1") == 1000)
            #expect(try await database.count("message LIKE '%stopped answering%'", of: "public.job_logs") == 1000)
            #expect(
                try await database.count("old_status = 'processing' AND new_status = 'pending'", of: "public.audit")
                    == 1000)
            for worker in workers.dropFirst() { await worker.stop() }
        }
    }
}
