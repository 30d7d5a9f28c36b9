import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres
import Support
import Testing

/// Runs that go on after their claim was given to another.
extension ProcessFaults {
    @Suite(.database()) struct ZombieTests {
        let database = TestDatabase.current

        @Test func `a worker that wakes after its lease changes nothing of the job it lost, and says so once`()
            async throws
        {
            try await database.makeAudit()
            let role = "zombie_\(database.name)"
            try await database.run("CREATE ROLE \(role) LOGIN IN ROLE jobworker")
            let zombie = try await RunningDaemon.startQuick(
                database, instance: "zombie",
                environment: ["DATABASE_URL": database.server.connectionString(database: database.name, role: role)])
            // It reports progress all the time.
            let id = try await database.insertJob("progress", payload: #"{"seconds": 300, "steps": 3000}"#)
            try await database.waitUntil("(progress ->> 'percentage')::int >= 0")
            let successor = try await RunningDaemon.startQuick(database, instance: "successor")
            try await zombie.signal(SIGSTOP)
            try await database.waitUntil(
                "worker_id = '\(successor.workerID)' AND status = 'processing' AND attempts = 2", atMost: .seconds(120))
            let taken: Int = try await database.value("SELECT max(seq) FROM public.audit") ?? 0
            let token = try await database.job(id).leaseToken
            try await zombie.signal(SIGCONT)
            try await zombie.logs("claim lost")
            // One more of each statement that a zombie might send.
            let later: Int = try await database.value("SELECT max(seq) FROM public.audit") ?? 0
            try await database.waitUntil("seq > \(later + 5)", of: "public.audit")
            #expect(try await database.count("seq > \(taken) AND by = '\(role)'", of: "public.audit") == 0)
            let job = try await database.job(id)
            #expect(job.status == "processing" && job.attempts == 2 && job.leaseToken == token)
            #expect(zombie.log.ranges(of: "claim lost").count == 1)
            for worker in [zombie, successor] {
                try await worker.stopAtOnce()
                #expect(await worker.ended() == 0)
                #expect(worker.lastLogLine.contains("worker stopped") && worker.lastLogLine.contains("SIGTERM"))
            }
            try await database.run("DROP OWNED BY \(role); DROP ROLE \(role)")
        }

        @Test(arguments: [2, 1])
        func `a worker that claims its own lost job again tells both runs apart`(attempt: Int) async throws {
            let (first, second, release) = (Gate(), Gate(), Gate())
            let id = try await database.insertJob("twice")
            let twice = ScriptedProcessor("twice") { _, _ in
                guard first.isOpen else {
                    first.open()
                    await release.passed()
                    return JSONText("\"of the lost run\"")
                }
                second.open()
                return JSONText("\"of the second run\"")
            }
            let database = database
            try await database.withWorker(
                twice,
                change: {
                    $0.heartbeatInterval = .seconds(300)
                    $0.staleAfter = .seconds(1000)
                    $0.pollInterval = .milliseconds(50)
                }
            ) { worker in
                try await first.opened()
                // Its beats did not get through: somebody takes the job back, and the same worker claims it. A beat that
                // was under way may still come in between.
                var request = ReapRequest.test(types: ["twice"], staleAfter: .seconds(60))
                request.retry = RetryPolicy(delayBase: .seconds(30), delayMax: .seconds(30))
                var taken = 0
                for _ in 0..<50 where taken == 0 {
                    try await database.query(
                        "UPDATE public.jobs SET worker_heartbeat_at = now() - interval '90 seconds' WHERE id = \(id)")
                    taken = try await database.store().reap(request)
                }
                try #require(taken == 1)
                try await database.query(
                    "UPDATE public.jobs SET attempts = \(attempt - 1), next_retry_at = NULL WHERE id = \(id)")
                try await second.opened()
                try await database.waitUntil("status = 'completed'")
                release.open()
                let deadline = ContinuousClock.now + .seconds(30)
                while worker.runningCount > 0, ContinuousClock.now < deadline {
                    try await Task.sleep(for: .milliseconds(10))
                }
                #expect(worker.state.snapshot.counts.fenced == 1)
                #expect(worker.state.snapshot.counts.completed == 1)
            }
            #expect(try await database.job(id).result == "\"of the second run\"")
            #expect(try await database.job(id).attempts == attempt)
        }

        @Test func `a claim whose answer was lost is not kept alive by the worker that made it`() async throws {
            let database = database
            let id = try await database.insertJob("once")
            try await database.withWorker(
                ScriptedProcessor("once"), ScriptedProcessor("idle"),
                change: {
                    $0.workerID = "deaf-for-a-moment"
                    $0.queues = [.init(name: "other")]
                    $0.pollInterval = .milliseconds(50)
                    $0.staleAfter = .seconds(1)
                    $0.retry = RetryPolicy(delayBase: .zero, delayMax: .zero)
                }
            ) { worker in
                // As if its own: with its name, and it knows nothing of it.
                let claimed = try await database.store().claim(
                    .test(types: ["once"], workerID: "deaf-for-a-moment"))
                #expect(claimed.count == 1)
                try await database.waitUntil("status = 'pending' AND attempts = 1")
                worker.reconfigure { $0.queues = [.init(name: "default")] }
                try await database.waitUntil("status = 'completed' AND attempts = 2")
            }
            #expect(try await database.job(id).workerDeaths == 0)
        }
    }
}
