import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What a claim takes from queues with rules.
@Suite(.database()) struct CarefulClaimTests {
    let database = TestDatabase.current

    private func claim(_ request: ClaimRequest = .test()) async throws -> CarefulAnswer {
        try await database.store().claimCarefully(request)
    }

    private func fill(
        _ jobs: Int, workspace: UUID = TestDatabase.workspace, type: String = "noop", queue: String = "default",
        priority: Int = 0, createdAgo: Int = 60
    ) async throws {
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue, priority, created_at)
            SELECT \(workspace), \(type), '{}', \(queue), \(priority),
                   now() - \(createdAgo) * interval '1 s' + n * interval '1 us'
            FROM generate_series(1, \(jobs)) AS n
            """)
    }

    /// Also how many entries of the indexes of `jobs` the claim read.
    private func claimCounting(_ request: ClaimRequest) async throws -> (CarefulAnswer, read: Int) {
        let read: @Sendable () async throws -> (scans: Int, entries: Int) = { [database] in
            let row = try await database.query(
                """
                SELECT sum(idx_scan)::int AS scans, sum(idx_tup_read)::int AS entries
                FROM pg_stat_user_indexes WHERE relname = 'jobs' AND indexrelname IN ('jobs_due', 'jobs_turns')
                """)[0]
            return (try row.decode("scans"), try row.decode("entries"))
        }
        let before = try await read()
        // A session tells its figures when it ends.
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let answer = try await JobStore(pool: pool).claimCarefully(request)
        await pool.close()
        try await eventually("the figures are told") { try await read().scans > before.scans }
        return (answer, try await read().entries - before.entries)
    }

    // MARK: Queues

    @Test func `the quick claim passes over a queue with rules, and over all once a limit is set`() async throws {
        try await fill(2, queue: "a")
        try await fill(2, queue: "b")
        try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('a', 1)")
        let request = ClaimRequest.test(queues: [("*", 9)], limit: 1)
        let store = database.store()
        #expect(try await store.claim(request).map(\.job.queue) == ["b"])
        #expect(try await store.lanes(of: request.queues).ruledQueues == ["a"])
        try await database.run("INSERT INTO public.job_limits (name, job_type, max_running) VALUES ('l', 'other', 1)")
        #expect(try await store.claim(request).isEmpty)
        #expect(try await store.lanes(of: request.queues).ruledQueues == ["a", "*"])
        #expect(try await claim(request).claimed.count == 1)
        try await database.run("DELETE FROM public.job_limits; DELETE FROM public.job_queues")
        #expect(try await store.claim(.test(queues: [("*", 9)])).count == 2)
        #expect(try await store.lanes(of: request.queues).ruledQueues == [])
    }

    @Test func `a cap counts what runs anywhere, and cancelled runs that haven't ended`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('a', 3)")
        try await database.insertJob(status: .processing, queue: "a")
        try await database.insertJob(status: .cancelled, queue: "a", isLeased: true)
        try await fill(5, queue: "a")
        try await fill(5, queue: "b")
        let first = try await claim(.test(queues: [("*", 9)], limit: 9))
        #expect(first.claimed.map(\.job.queue).sorted() == ["a", "b", "b", "b", "b", "b"])
        #expect(first.leftSome)
        let second = try await claim(.test(queues: [("*", 9)], limit: 9))
        #expect(second.claimed.isEmpty && second.leftSome)
        try await database.run("UPDATE public.job_queues SET max_running = 5")
        #expect(try await claim(.test(queues: [("*", 9)], limit: 9)).claimed.count == 2)
        try await database.run("UPDATE public.job_queues SET max_running = 0")
        #expect(try await claim(.test(queues: [("*", 9)], limit: 9)).claimed.isEmpty)
    }

    @Test func `a paused queue gives nothing, whatever its rules`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, max_running, paused_at) VALUES ('a', 3, now())")
        try await fill(5, queue: "a")
        #expect(try await claim(.test(queues: [("a", 9)])).claimed.isEmpty)
    }

    @Test func `without rules in the way the order is that of the quick claim`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('a', 100)")
        let low = try await database.insertJob(queue: "a", priority: -5, createdAgo: .seconds(1000))
        let late = try await database.insertJob(queue: "b", createdAgo: .seconds(10))
        let early = try await database.insertJob(queue: "a", createdAgo: .seconds(60))
        let high = try await database.insertJob(queue: "b", priority: 5)
        try await database.insertJob(queue: "a", scheduledIn: .seconds(60))
        var order: [UUID] = []
        for _ in 0..<5 {
            order += try await claim(.test(queues: [("*", 9)], limit: 1)).claimed.map(\.job.id)
        }
        #expect(order == [high, early, late, low])
    }

    @Test func `ageing lets a long wait outweigh priority, a step for each`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, ageing) VALUES ('default', '1 minute')")
        // 5 + 0, -5 + 9, -5 + 10 but later than the first, -5 + 11.
        let high = try await database.insertJob(priority: 5, createdAgo: .seconds(59))
        let nine = try await database.insertJob(priority: -5, createdAgo: .seconds(9 * 60 + 30))
        let ten = try await database.insertJob(priority: -5, createdAgo: .seconds(10 * 60 + 30))
        let eleven = try await database.insertJob(priority: -5, createdAgo: .seconds(11 * 60 + 30))
        var order: [UUID] = []
        for _ in 0..<4 { order += try await claim(.test(limit: 1)).claimed.map(\.job.id) }
        #expect(order == [eleven, ten, high, nine])
    }

    @Test func `queues share by their weights, and what one leaves the others take`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, weight) VALUES ('heavy', 9), ('light', 1)")
        try await fill(300, queue: "heavy", createdAgo: 10)
        try await fill(300, queue: "light", priority: 9, createdAgo: 1000)
        var counts: [String: Int] = [:]
        for _ in 0..<40 {
            for job in try await claim(.test(queues: [("*", 9)], limit: 5)).claimed {
                counts[job.job.queue, default: 0] += 1
            }
        }
        // 180 and 20 are expected; six standard deviations are 25.
        let light = counts["light"] ?? 0
        #expect(light > 0 && light < 46)
        #expect((counts["heavy"] ?? 0) + light == 200)
        try await database.run("DELETE FROM public.jobs WHERE job_queue = 'heavy' AND status = 'pending'")
        #expect(try await claim(.test(queues: [("*", 50)], limit: 50)).claimed.count == 50)
    }

    @Test func `a job whose row somebody holds keeps no other waiting`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('default', 1)")
        let held = try await database.insertJob(priority: 9)
        let free = try await database.insertJob()
        try await database.pool.withConnection { holder in
            try await holder.runScript("BEGIN; SELECT id FROM public.jobs WHERE id = '\(held.text)' FOR UPDATE")
            #expect(try await claim().claimed.map(\.job.id) == [free])
            try await holder.runScript("ROLLBACK")
        }
    }

    // MARK: Turns

    @Test(arguments: [1, 5])
    func `a workspace's many jobs delay another's first by less than a batch`(batch: Int) async throws {
        let other = try await database.insertWorkspace()
        try await database.run("INSERT INTO public.job_queues (name, fair) VALUES ('default', true)")
        try await fill(2000, priority: 5)
        _ = try await claim(.test(limit: batch))
        try await fill(3, workspace: other, createdAgo: 0)
        var claimed: [UUID] = []
        for _ in 0..<(batch == 1 ? 4 : 1) {
            claimed += try await claim(.test(limit: batch)).claimed.map(\.job.workspaceID)
        }
        #expect(claimed.filter { $0 == other }.count >= 2)
    }

    @Test func `with 100,000 jobs of one workspace another's first is in the next batch, and a claim takes no longer`()
        async throws
    {
        let other = try await database.insertWorkspace()
        try await fill(100_000, priority: 5)
        try await database.run(
            "INSERT INTO public.job_queues (name, fair) VALUES ('default', true); ANALYZE public.jobs")
        try await database.insertJob(workspace: other, priority: -5, createdAgo: .zero)
        let (answer, read) = try await claimCounting(.test(limit: 10))
        let claimed = answer.claimed
        #expect(read < 1000)
        #expect(claimed.contains { $0.job.workspaceID == other } && claimed.count == 10)
    }

    @Test func `workspaces take turns one after another, each by priority`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, fair) VALUES ('default', true)")
        var workspaces: [UUID] = []
        for number in 0..<4 {
            workspaces.append(try await database.insertWorkspace("W\(number)"))
            try await fill(4, workspace: workspaces[number], type: number == 0 ? "other" : "noop", priority: -1)
            try await fill(1, workspace: workspaces[number], priority: 3)
        }
        var turns: [UUID] = []
        var priorities: [UUID: [Int]] = [:]
        for _ in 0..<20 {
            for job in try await claim(.test(types: ["noop", "other"], limit: 1)).claimed {
                turns.append(job.job.workspaceID)
                priorities[job.job.workspaceID, default: []].append(job.job.priority)
            }
        }
        for round in 0..<5 { #expect(Set(turns[(round * 4)..<(round * 4 + 4)]).count == 4) }
        #expect(priorities.values.allSatisfy { $0 == [3, -1, -1, -1, -1] })
    }

    @Test func `turns are found by what waited before, what comes back, and what is retried`() async throws {
        try await fill(1)
        let blocked = try await database.insertJob(status: .blocked)
        let failed = try await database.insertJob(status: .failed)
        let running = try await database.insertJob(status: .processing)
        try await database.run("INSERT INTO public.job_queues (name, fair) VALUES ('default', true)")
        try await fill(1)
        try await database.query("UPDATE public.jobs SET status = 'pending' WHERE id = \(blocked)")
        try await database.query("SELECT jobworker.retry_job(\(failed))")
        try await database.query("UPDATE public.jobs SET status = 'pending', lease_open = false WHERE id = \(running)")
        #expect(try await claim().claimed.count == 5)
    }

    // MARK: Limits

    @Test func `at most so many of a type run, in all queues together`() async throws {
        try await database.run("INSERT INTO public.job_limits (name, job_type, max_running) VALUES ('l', 'mail', 2)")
        try await fill(5, type: "mail", queue: "a", priority: 5)
        try await fill(5, type: "mail", queue: "b", priority: 5)
        try await fill(5, queue: "a")
        let types = ["mail", "noop"]
        let first = try await claim(.test(types: types, queues: [("*", 9)], limit: 9))
        var all = first.claimed
        all += try await claim(.test(types: types, queues: [("*", 9)], limit: 9)).claimed
        #expect(all.filter { $0.job.type == "mail" }.count == 2)
        #expect(all.filter { $0.job.type == "noop" }.count == 5)
        #expect(first.leftSome)
        try await database.run("UPDATE public.job_limits SET max_running = 4")
        #expect(try await claim(.test(types: types, queues: [("*", 9)], limit: 9)).claimed.count == 2)
        try await database.run("DELETE FROM public.job_limits")
        #expect(try await database.store().claim(.test(types: types, queues: [("*", 9)], limit: 9)).count == 6)
    }

    @Test func `a limit for each workspace counts each by itself, one for a workspace that alone`() async throws {
        let other = try await database.insertWorkspace()
        try await database.query(
            """
            INSERT INTO public.job_limits (name, job_type, workspace_id, each_workspace, max_running)
            VALUES ('each', 'noop', NULL, true, 3), ('one', NULL, \(other), false, 1)
            """)
        try await fill(9)
        try await fill(9, workspace: other)
        let claimed = try await claim().claimed
        #expect(claimed.filter { $0.job.workspaceID == other }.count == 1)
        #expect(claimed.filter { $0.job.workspaceID == TestDatabase.workspace }.count == 3)
    }

    @Test func `a rate gives its burst, then one after another, and says when`() async throws {
        try await database.run(
            "INSERT INTO public.job_limits (name, job_type, rate, period, burst) VALUES ('r', 'noop', 6, '1 minute', 3)"
        )
        try await fill(9)
        let first = try await claim()
        #expect(first.claimed.count == 3)
        let wait = try #require(first.nextChance)
        #expect(wait > .seconds(9) && wait <= .seconds(10))
        let second = try await claim()
        #expect(second.claimed.isEmpty && second.nextChance != nil)
        // Two tokens come in twenty seconds.
        try await database.run("UPDATE jobworker.limit_tokens SET counted_at = counted_at - interval '20 s'")
        #expect(try await claim().claimed.count == 2)
        try await database.run("UPDATE jobworker.limit_tokens SET counted_at = counted_at - interval '1 hour'")
        #expect(try await claim().claimed.count == 3)
        try await database.run("UPDATE public.job_limits SET rate = NULL, burst = NULL, max_running = 100")
        #expect(try await claim().claimed.count == 1)
    }

    @Test func `limited jobs of high priority are passed over, not walked past`() async throws {
        try await database.run("INSERT INTO public.job_limits (name, job_type, max_running) VALUES ('l', 'mail', 0)")
        try await fill(100_000, type: "mail", priority: 9)
        let free = try await database.insertJob()
        try await database.run("ANALYZE public.jobs")
        let (answer, read) = try await claimCounting(.test(types: ["mail", "noop"]))
        #expect(answer.claimed.map(\.job.id) == [free])
        #expect(read < 1000)
    }
}
