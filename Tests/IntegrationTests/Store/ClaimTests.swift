import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What a claim takes, and in which order.
@Suite(.database()) struct ClaimTests {
    let database = TestDatabase.current

    private func claim(_ request: ClaimRequest = .test()) async throws -> [UUID] {
        try await database.store().claim(request).map(\.job.id)
    }

    @Test func `higher priority first, then the earlier due time, then the id`() async throws {
        let late = try await database.insertJob(priority: 0, createdAgo: .seconds(10))
        let low = try await database.insertJob(priority: -5, createdAgo: .seconds(1000))
        let early = try await database.insertJob(priority: 0, createdAgo: .seconds(60))
        let high = try await database.insertJob(priority: 5, createdAgo: .seconds(1))
        let waited = try await database.insertJob(priority: nil, createdAgo: .seconds(1000), retryIn: .seconds(-30))
        #expect(try await claim() == [high, early, waited, late, low])

        try await database.query(
            "INSERT INTO public.jobs (workspace_id, job_type, payload) SELECT \(TestDatabase.workspace), 'noop', '{}' FROM generate_series(1, 20)"
        )
        let tied = try await claim(.test(limit: 20)).map(\.text)
        #expect(tied.count == 20 && tied == tied.sorted())
    }

    @Test func `the limit cuts by that order, over all queues`() async throws {
        for queue in ["a", "b"] {
            for priority in [1, 3, 2] { try await database.insertJob(queue: queue, priority: priority) }
        }
        let claimed = try await database.store().claim(.test(queues: [("a", 9), ("b", 9)], limit: 4))
        #expect(claimed.map(\.job.priority) == [3, 3, 2, 2])
        #expect(try await claim(.test(queues: [("a", 9)], limit: 0)) == [])
    }

    @Test(arguments: [nil, 1, 2] as [Int?])
    func `of a type that is nearly full no more are taken than may run, and others in their place`(
        lanes count: Int?
    ) async throws {
        let urgent = try await database.insertJob("slow", queue: "a", priority: 1)
        for _ in 0..<3 { try await database.insertJob("slow", queue: "a") }
        let others = [
            try await database.insertJob(queue: "a"), try await database.insertJob("report", queue: "a"),
        ]
        var request = ClaimRequest.test(
            types: ["noop", "slow", "report"], queues: [("a", 9)], limit: 9,
            lanes: count.map { count in (0..<count).map { .init(queue: "a", priority: 1 - $0, from: nil) } })
        request.typesLeft = ["slow": 1, "report": 3]
        #expect(try await claim(request) == [urgent] + (count == 1 ? [] : others))
        request.typesLeft = ["slow": 2]
        #expect(try await claim(request).count == (count == 1 ? 0 : 2))
    }

    private func claim(only id: UUID, _ request: ClaimRequest = .test()) async throws -> [UUID] {
        var request = request
        request.only = id
        return try await claim(request)
    }

    @Test func `a job is claimed by its id alone, whatever else waits`() async throws {
        try await database.insertJob(priority: 9)
        let job = try await database.insertJob(priority: -3)
        #expect(try await claim(only: job) == [job])
        #expect(try await claim(only: job) == [])
        #expect(try await claim(only: UUID()) == [])
    }

    @Test func `by its id a job is claimed as by a look at its queue: what mustn't start doesn't`() async throws {
        #expect(try await claim(only: database.insertJob(scheduledIn: .seconds(60))) == [])
        #expect(try await claim(only: database.insertJob(retryIn: .seconds(60))) == [])
        #expect(try await claim(only: database.insertJob("other")) == [])
        let mail = try await database.insertJob(queue: "mail")
        #expect(try await claim(only: mail, .test(queues: [("default", 5)])) == [])
        #expect(try await claim(only: mail, .test(queues: [("mail", 0), ("*", 5)])) == [])
        #expect(try await claim(only: mail, .test(queues: [("*", 5)], limit: 0)) == [])
        try await database.run("INSERT INTO public.job_queues (name, paused_at) VALUES ('mail', now())")
        #expect(try await claim(only: mail, .test(queues: [("*", 5)])) == [])
        try await database.run("UPDATE public.job_queues SET paused_at = NULL")
        try await database.run("UPDATE public.jobs SET worker_deaths = 1 WHERE id = '\(mail.text)'")
        #expect(try await claim(only: mail, .test(queues: [("*", 5)])) == [])
        try await database.run("UPDATE public.jobs SET worker_deaths = 0 WHERE id = '\(mail.text)'")
        #expect(try await claim(only: mail, .test(queues: [("*", 5)])) == [mail])
    }

    @Test func `columns of the application's own, whatever their names, disturb no claim`() async throws {
        try await database.run(
            """
            ALTER TABLE public.jobs ADD COLUMN due_at timestamptz, ADD COLUMN text text, ADD COLUMN queue text,
                ADD COLUMN is_suspect boolean, ADD COLUMN urgency int
            """)
        for _ in 0..<2 {
            let job = try await database.insertJob()
            #expect(try await claim(only: job) == [job])
        }
        let job = try await database.insertJob()
        #expect(try await claim() == [job])
        _ = try await database.store().poll(.test(), presence: .test(), reaping: .test())
    }

    @Test func `nothing starts early`() async throws {
        try await database.insertJob(scheduledIn: .milliseconds(500_000))
        try await database.insertJob(retryIn: .seconds(1))
        try await database.insertJob(createdAgo: .seconds(-60))
        // The latest of the times counts.
        try await database.insertJob(scheduledIn: .seconds(-60), retryIn: .seconds(60))
        let due = try await database.insertJob(scheduledIn: .seconds(-1), retryIn: .seconds(-1))
        #expect(try await claim() == [due])
    }

    @Test func `only pending jobs of the types and queues asked for are taken`() async throws {
        for status in JobStatus.allCases where status != .pending {
            try await database.insertJob(status: status, isLeased: status == .processing)
        }
        try await database.insertJob("unknown_type")
        try await database.insertJob(queue: "other")
        try await database.insertJob(workspace: nil)
        let mine = try await database.insertJob()
        #expect(try await claim() == [mine])
        #expect(try await claim(.test(types: [])) == [])
    }

    @Test func `each queue gives at most its share`() async throws {
        for _ in 0..<3 {
            try await database.insertJob(queue: "a")
            try await database.insertJob(queue: "b", createdAgo: .seconds(60))
        }
        let claimed = try await database.store().claim(.test(queues: [("a", 2), ("b", 1)]))
        #expect(claimed.map(\.job.queue).sorted() == ["a", "a", "b"])
    }

    @Test func `a star serves every queue that isn't named`() async throws {
        for queue in ["a", "b", "c"] { try await database.insertJob(queue: queue) }
        try await database.run("ALTER TABLE public.jobs DISABLE TRIGGER jobs_insert")
        try await database.insertJob(queue: nil)
        let claimed = try await database.store().claim(.test(queues: [("b", 0), ("*", 10)]))
        #expect(claimed.map(\.job.queue).sorted() == ["a", "c", "default"])
    }

    @Test func `a paused queue gives nothing until it goes on`() async throws {
        let job = try await database.insertJob(queue: "a")
        try await database.run(
            "INSERT INTO public.job_queues (name, paused_at, paused_by) VALUES ('a', now(), 'somebody')")
        #expect(try await claim(.test(queues: [("a", 9)])) == [])
        #expect(try await claim(.test(queues: [("*", 9)])) == [])
        try await database.run("UPDATE public.job_queues SET paused_at = NULL, paused_by = NULL")
        #expect(try await claim(.test(queues: [("*", 9)])) == [job])
    }

    @Test func `a row somebody holds is passed over, not waited for`() async throws {
        let held = try await database.insertJob(priority: 9)
        let free = try await database.insertJob()
        try await database.pool.withConnection { holder in
            try await holder.runScript("BEGIN; SELECT id FROM public.jobs WHERE id = '\(held.text)' FOR UPDATE")
            #expect(try await claim() == [free])
            try await holder.runScript("ROLLBACK")
        }
        #expect(try await claim() == [held])
    }

    @Test func `a job without attempts left is never claimed`() async throws {
        try await database.insertJob(maxAttempts: 0)
        try await database.insertJob(attempts: 3, maxAttempts: 3)
        let last = try await database.insertJob(attempts: 2, maxAttempts: 3)
        #expect(try await claim() == [last])
    }

    @Test func `a payload over the limit isn't read, and its job is refused by its size`() async throws {
        let big = try await database.insertJob(payload: "{\"text\":\"\(String(repeating: "x", count: 5000))\"}")
        var request = ClaimRequest.test()
        request.payloadLimit = 1000
        let claimed = try await database.store().claim(request)
        #expect(claimed.map(\.job.id) == [big] && claimed[0].job.payload.text == "null")
        #expect(claimed[0].refusal?.contains("5012 bytes") == true)
    }

    @Test func `of the jobs whose worker died one is taken at a time, and none by a worker that has one`() async throws
    {
        for _ in 0..<3 { try await database.insertJob(priority: 5, workerDeaths: 1) }
        let innocent = try await database.insertJob()
        #expect(try await claim(.test(takesSuspect: false)) == [innocent])
        let claimed = try await database.store().claim(.test())
        #expect(claimed.count == 1 && claimed[0].isSuspect)
    }

    @Test func `a cancelled run that hasn't ended keeps its retried job from starting twice`() async throws {
        let running = try await database.insertJob(isLeased: true, heartbeatAge: .seconds(60))
        #expect(try await claim() == [])
        try await database.query(
            "UPDATE public.jobs SET worker_heartbeat_at = now() - interval '121 s' WHERE id = \(running)")
        #expect(try await claim() == [running])
    }

    @Test func `the claim is written into the row, and what an earlier attempt left is cleared`() async throws {
        let id = try await database.insertJob(
            payload: "{\"a\": 1}", createdAgo: .seconds(60), scheduledIn: .seconds(-5), retryIn: .seconds(-2),
            attempts: 2, timeout: .seconds(30),
            errorMessage: "the last error stays", result: "1")
        let before = try await database.job(id)
        let claimed = try #require(try await database.store().claim(.test(workerID: "w1")).first)
        let row = try await database.job(id)
        #expect(row.status == "processing" && row.attempts == 3 && row.workerID == "w1" && row.leaseIsOpen)
        #expect(row.leaseToken == claimed.claim.token && row.startedAt == claimed.job.startedAt)
        #expect(row.heartbeatAt != nil && row.nextRetryAt == nil && row.result == nil && row.progress == "{}")
        #expect(row.errorMessage == "the last error stays")
        #expect(claimed.job.dueAt == before.nextRetryAt && claimed.job.attempt == 3 && claimed.job.maxAttempts == 5)
        #expect(claimed.job.timeout == .seconds(30) && claimed.job.payload.text == "{\"a\": 1}" && !claimed.isSuspect)
    }

    @Test func `no two claims have the same token, for one job neither`() async throws {
        let id = try await database.insertJob()
        let store = database.store()
        let first = try #require(try await store.claim(.test()).first).claim
        _ = try await store.settle([Settlement(claim: first, kind: .release, message: "stopping")])
        let second = try #require(try await store.claim(.test()).first).claim
        #expect(first.jobID == id && second.jobID == id && first.token != second.token)
    }

    @Test func `twenty claimers at once never share a job, and leave none`() async throws {
        try await database.query(
            "INSERT INTO public.jobs (workspace_id, job_type, payload) SELECT \(TestDatabase.workspace), 'noop', '{}' FROM generate_series(1, 600)"
        )
        let pool = ConnectionPool(database.workerSettings, limit: 20)
        let store = JobStore(pool: pool)
        let claims = try await withThrowingTaskGroup(of: [ClaimedJob].self) { group in
            for number in 0..<20 {
                group.addTask {
                    var mine: [ClaimedJob] = []
                    while true {
                        let claimed = try await store.claim(.test(limit: 7, workerID: "w\(number)"))
                        mine += claimed
                        // Rows another one holds at the moment are passed over: ask until none is left.
                        if claimed.isEmpty, try await self.database.count("status = 'pending'") == 0 { return mine }
                    }
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(claims.count == 600)
        #expect(Set(claims.map(\.job.id)).count == 600 && Set(claims.map(\.claim.token)).count == 600)
        #expect(try await database.count("status = 'processing' AND attempts = 1") == 600)
        await pool.close()
    }

    /// The application may write what this program can't read, or nobody can announce.
    @Test func `a job from before our era runs, and the others of its claim too`() async throws {
        let job = try await database.insertJob()
        _ = try await WaitingWorker(in: database)
        var old: [UUID] = []
        for time in ["-infinity", "0044-03-15 BC", "1969-12-31"] {
            let rows = try await database.query(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload, created_at)
                VALUES (\(TestDatabase.workspace), 'noop', '{}', \(sql: "'\(time)'::timestamptz")) RETURNING id
                """)
            old.append(try #require(rows.first).decode("id"))
        }
        #expect(Set(try await claim()) == Set(old + [job]))
    }
}
