import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct ReapTests {
    let database = TestDatabase.current

    private var store: JobStore { database.store() }

    @Test func `a job whose worker fell silent waits its normal delay, the attempt counted`() async throws {
        let silent = try await database.insertJob(
            status: .processing, attempts: 2, workerID: "w1", heartbeatAge: .seconds(121))
        let alive = try await database.insertJob(status: .processing, heartbeatAge: .seconds(119))
        let claim = try await database.claim(of: silent)
        #expect(try await store.reap(.test()) == 1)
        let row = try await database.job(silent)
        #expect(row.status == "pending" && row.attempts == 2 && row.workerDeaths == 1 && !row.leaseIsOpen)
        #expect((119...132.1).contains(try #require(row.retryIn)))
        #expect(
            row.errorMessage?.hasPrefix("The worker that ran attempt 2 stopped answering (w1, last heard of at 20")
                == true)
        #expect(try await database.logs(of: silent).map(\.level) == ["warn"])
        #expect(try await database.job(alive).status == "processing")
        // The zombie can't write any more.
        #expect(try await store.complete([(claim, nil)]).isEmpty)
        #expect(try await store.heartbeat([claim]).lost == [claim])
        #expect(try await store.reap(.test()) == 0)
    }

    @Test func `when its attempts are used up it has failed`() async throws {
        let id = try await database.insertJob(status: .processing, attempts: 5, heartbeatAge: .seconds(200))
        #expect(try await store.reap(.test()) == 1)
        let row = try await database.job(id)
        #expect(row.status == "failed" && row.failedAt != nil && row.nextRetryAt == nil)
        #expect(try await database.logs(of: id).map(\.level) == ["error"])
    }

    @Test func `the third death of its worker ends a job, whatever attempts are left`() async throws {
        let second = try await database.insertJob(status: .processing, heartbeatAge: .seconds(200), workerDeaths: 1)
        let third = try await database.insertJob(
            status: .processing, maxAttempts: 100, heartbeatAge: .seconds(200), workerDeaths: 2)
        #expect(try await store.reap(.test()) == 2)
        #expect(try await database.job(second).status == "pending")
        let row = try await database.job(third)
        #expect(row.status == "failed" && row.errorMessage?.contains("Three workers died running this job") == true)
    }

    @Test func `rows without a token are the application's: left alone, except old ones of a type served here`()
        async throws
    {
        func insert(_ type: String, startedAgo: Duration, heartbeatAge: Duration? = nil) async throws -> UUID {
            try await database.insertJob(
                type, status: .processing, createdAgo: .seconds(7200), isLeased: false, startedAgo: startedAgo,
                heartbeatAge: heartbeatAge)
        }
        _ = try await insert("import_csv", startedAgo: .seconds(7000))
        _ = try await insert("noop", startedAgo: .seconds(3500))
        _ = try await insert("noop", startedAgo: .seconds(7000), heartbeatAge: .seconds(300))
        let old = try await insert("noop", startedAgo: .seconds(3700))
        #expect(try await store.reap(.test()) == 1)
        #expect(try await database.job(old).status == "pending")
        #expect(try await database.count("status = 'processing'") == 3)
    }

    @Test func `rows with a token are taken back whatever their type`() async throws {
        let id = try await database.insertJob("served_elsewhere", status: .processing, heartbeatAge: .seconds(200))
        #expect(try await store.reap(.test(types: [])) == 1)
        #expect(try await database.job(id).status == "pending")
    }

    @Test func `the open lease of a cancelled job closes when its worker fell silent`() async throws {
        let silent = try await database.insertJob(status: .processing, heartbeatAge: .seconds(121))
        let alive = try await database.insertJob(status: .processing, heartbeatAge: .seconds(119))
        for id in [silent, alive] {
            _ = try await store.cancel(id, by: Requester(actor: "operator:test", via: .cli))
        }
        #expect(try await store.reap(.test(isAllowed: false)) == 0)
        #expect(try await database.job(silent).leaseIsOpen)
        #expect(try await store.reap(.test()) == 0)
        let row = try await database.job(silent)
        #expect(row.status == "cancelled" && !row.leaseIsOpen && row.workerDeaths == 0)
        #expect(try await database.job(alive).leaseIsOpen)
    }

    @Test func `while reaping isn't allowed nothing is taken back`() async throws {
        try await database.insertJob(status: .processing, heartbeatAge: .seconds(200))
        #expect(try await store.reap(.test(isAllowed: false)) == 0)
    }

    @Test func `ten reapers at once take each job back once`() async throws {
        for _ in 0..<30 { try await database.insertJob(status: .processing, heartbeatAge: .seconds(200)) }
        let store = store
        let total = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<10 { group.addTask { try await store.reap(.test()) } }
            return try await group.reduce(0, +)
        }
        #expect(total == 30)
        #expect(try await database.count("worker_deaths = 1 AND status = 'pending'") == 30)
        #expect(try await database.count("log_level = 'warn'", of: "public.job_logs") == 30)
    }

    @Test func `a row a worker is completing at this moment is passed over`() async throws {
        let id = try await database.insertJob(status: .processing, heartbeatAge: .seconds(200))
        try await database.pool.withConnection { holder in
            try await holder.runScript(
                "BEGIN; UPDATE public.jobs SET status = 'completed', lease_open = false WHERE id = '\(id.text)'")
            #expect(try await store.reap(.test()) == 0)
            try await holder.runScript("COMMIT")
        }
        #expect(try await store.reap(.test()) == 0)
        #expect(try await database.job(id).status == "completed")
    }

    @Test(arguments: [false, true])
    func `whoever takes back the job of a third dead worker learns which one it gave up`(isSuccessor: Bool) async throws
    {
        _ = try await store.poll(
            .test(workerID: "dead"), presence: .test(id: "dead", instance: "a", machineID: "m"), reaping: .test())
        let poison = try await database.insertJob(status: .processing, workerID: "dead", heartbeatAge: .seconds(200))
        let other = try await database.insertJob(status: .processing, workerID: "dead", heartbeatAge: .seconds(200))
        try await database.query("UPDATE public.jobs SET worker_deaths = 2 WHERE id = \(poison)")
        try await store.register(.test(id: "new", instance: "a", machineID: "m"))
        let taken =
            if isSuccessor {
                try await store.takeBackPredecessors(of: "new", instance: "a", machineID: "m", retry: RetryPolicy())
            } else {
                try await store.poll(.test(workerID: "b"), presence: .test(id: "b"), reaping: .test()).takenBack
            }
        #expect(taken.count == 2)
        #expect(taken.poisoned == [poison.text])
        #expect(try await database.job(poison).status == "failed")
        #expect(try await database.job(other).status == "pending")
    }

    @Test func `a successor takes back at once what the same instance on the same machine ran`() async throws {
        for (id, instance, machine) in [("w1", "a", "m"), ("w2", "b", "m"), ("w3", "a", "other"), ("w4", "a", "m")] {
            _ = try await store.poll(
                .test(workerID: id), presence: .test(id: id, instance: instance, machineID: machine), reaping: .test())
            try await database.insertJob(status: .processing, workerID: id)
        }
        let taken = try await store.takeBackPredecessors(of: "w4", instance: "a", machineID: "m", retry: RetryPolicy())
        #expect(taken.count == 1 && taken.poisoned.isEmpty)
        #expect(try await database.count("status = 'pending' AND worker_id = 'w1' AND worker_deaths = 1") == 1)
        #expect(try await database.count("status = 'processing'") == 3)
    }

    @Test func `what a successor runs is not taken by a statement of its predecessor that arrives late`() async throws {
        for id in ["old", "new"] {
            try await store.register(.test(id: id, instance: "a"))
            try await database.insertJob(status: .processing, workerID: id)
        }
        func takenBack(by id: String) async throws -> Int {
            try await store.takeBackPredecessors(of: id, instance: "a", machineID: "machine", retry: RetryPolicy())
                .count
        }
        #expect(try await takenBack(by: "nobody") == 0)
        #expect(try await takenBack(by: "old") == 0)
        // The same name begins anew: then it is the successor.
        try await store.register(.test(id: "old", instance: "a"))
        #expect(try await takenBack(by: "old") == 1)
        #expect(try await database.count("status = 'pending' AND worker_id = 'new'") == 1)
    }

    @Test func `the run of a cancelled job ends with its worker: the job can be deleted`() async throws {
        let silent = try await database.insertJob(
            status: .cancelled, attempts: 1, isLeased: true, heartbeatAge: .seconds(121))
        let running = try await database.insertJob(
            status: .cancelled, attempts: 1, isLeased: true, heartbeatAge: .seconds(119))
        #expect(try await store.reap(.test(isAllowed: false)) == 0)
        #expect(try await database.job(silent).leaseIsOpen)
        #expect(try await store.reap(.test()) == 0)
        let row = try await database.job(silent)
        #expect(row.status == "cancelled" && row.attempts == 1 && row.workerDeaths == 0 && !row.leaseIsOpen)
        #expect(try await database.job(running).leaseIsOpen)
        _ = try await store.delete(silent, by: Requester(actor: "test", via: .cli))
        #expect(try await database.count("status = 'cancelled'") == 1)
    }
}
