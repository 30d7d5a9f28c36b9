import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// A connection that breaks while a statement is under way: before it arrives, or after it took effect.
@Suite(.database()) struct LostReplyTests {
    let database = TestDatabase.current

    /// Of one job by the timer's look; of two by a look at their lane, as one alone may be claimed by its id.
    @Test(arguments: ["jobworker:poll", "jobworker:claim"])
    func `a job whose claim was never answered is taken back, although its worker stays up`(
        statement: String
    ) async throws {
        let (proxy, listen) = (try FaultProxy(to: database.server), try FaultProxy(to: database.server))
        // Without notifications it is the timer's look that claims.
        if statement == "jobworker:poll" { listen.set(.refuse) }
        let ledger = Ledger()
        try await database.withWorker(
            ledger.processor(), through: database.workerSettings(through: proxy),
            listen: database.workerSettings(through: listen),
            change: {
                $0.hasten()
                if statement != "jobworker:poll" { $0.pollInterval = .seconds(3) }
            }
        ) { worker in
            if statement != "jobworker:poll" {
                try await eventually("it listens") { worker.state.snapshot.isListening }
            }
            var jobs: [UUID] = []
            // A look may be under way that began before the jobs came: where it is that claim that gets lost, or it
            // has taken the jobs already, another pair is needed.
            for _ in 0..<10 {
                // The next timer is far then.
                try await database.waitUntil("seen_at > now() - interval '200 ms'", of: "public.job_workers")
                proxy.set(.stall())
                listen.set(.stall())
                jobs = try await database.addJobs(statement == "jobworker:claim" ? 2 : 1)
                let lost = proxy.arm(FaultProxy.Rule(statement, .dropReply))
                proxy.set(.pass)
                listen.set(statement == "jobworker:poll" ? .refuse : .pass)
                try await lost.struck()
                for job in jobs {
                    try await database.waitUntil("id = '\(job.text)' AND status = 'completed'")
                    #expect(ledger.runs(of: job) == 1)
                }
                if try await database.job(jobs[0]).attempts != 1 { break }
            }
            for job in jobs { #expect(try await database.job(job).attempts == 2) }
            try await eventually("it is counted") { worker.state.snapshot.counts.reaped == jobs.count }
        }
    }

    /// Of one that is announced by itself.
    @Test func `a job whose claim by its id was never answered is taken back`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let ledger = Ledger()
        try await database.withWorker(
            ledger.processor(), through: database.workerSettings(through: proxy),
            change: {
                $0.hasten()
                $0.pollInterval = .seconds(3)
            }
        ) { worker in
            // Where the worker is about to look anyway, or its look comes in between, that takes the job: then the claim
            // that gets lost held nothing, and another job is needed.
            var lostJob: UUID?
            for _ in 0..<5 where lostJob == nil {
                let lost = proxy.arm(FaultProxy.Rule("jobworker:claim.one", .dropReply))
                for id in try await database.addJobs(1, until: lost) {
                    #expect(ledger.runs(of: id) == 1)
                    if try await database.job(id).attempts == 2 { lostJob = id }
                }
            }
            #expect(lostJob != nil)
            try await eventually("it is counted") { worker.state.snapshot.counts.reaped == 1 }
        }
    }

    /// Alone, as where nothing more is due, and together with a claim, as where the one slot is full.
    @Test(arguments: ["jobworker:complete", "jobworker:exchange"], [FaultProxy.Rule.Action.dropReply, .closeBefore])
    func `a completion that was not answered is repeated, and the job runs once`(
        statement: String, action: FaultProxy.Rule.Action
    ) async throws {
        let proxy = try FaultProxy(to: database.server)
        let ledger = Ledger()
        try await database.withWorker(
            ledger.processor(), through: database.workerSettings(through: proxy),
            change: {
                $0.hasten()
                if statement == "jobworker:exchange" { $0.maxConcurrent = 1 }
            }
        ) { worker in
            try await database.waitUntil("true", of: "jobworker.waiting_workers")
            let lost = proxy.arm(FaultProxy.Rule(statement, action))
            // A look that a wake-up has asked for may go along with a completion: then another job is needed. Of two the
            // second goes along with the end of the first; one alone is claimed by its id.
            var ids = try await database.addJobs(statement == "jobworker:exchange" ? 2 : 1, until: lost)
            // The next one proves that the completer has its answer.
            ids.append(try await database.insertJob("noop"))
            try await database.waitUntilQuiet()
            for id in ids {
                #expect(ledger.runs(of: id) == 1)
                // A job that was claimed along with the lost answer is taken back before it has run.
                let isClaimLost = statement == "jobworker:exchange" && action == .dropReply
                #expect(try await (1...(isClaimLost ? 2 : 1)).contains(database.job(id).attempts ?? 0))
                #expect(try await database.logs(of: id).filter { $0.message.hasPrefix("Completed in") }.count == 1)
            }
            #expect(worker.state.snapshot.counts.fenced == 0)
        }
    }

    @Test(arguments: [FaultProxy.Rule.Action.dropReply, .closeBefore])
    func `a failure that was not answered is repeated, and counts once`(action: FaultProxy.Rule.Action) async throws {
        let proxy = try FaultProxy(to: database.server)
        let fails = ScriptedProcessor("noop") { _, _ in throw JobFailure.permanent("no use") }
        try await database.withWorker(
            fails, through: database.workerSettings(through: proxy), change: { $0.hasten() }
        ) { _ in
            let lost = proxy.arm(FaultProxy.Rule("jobworker:settle", action))
            let id = try await database.insertJob("noop")
            try await lost.struck()
            try await database.waitUntil("status = 'failed'")
            try await database.insertJob("noop")
            try await database.waitUntilQuiet()
            #expect(try await database.logs(of: id).filter { $0.message.hasPrefix("Failed on attempt") }.count == 1)
        }
    }

    @Test func `an enqueue that was not answered is repeated with the same id, and adds one job`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let lost = proxy.arm(FaultProxy.Rule("jobworker:enqueue", .dropReply))
        async let added = runProgram(
            [BuiltProgram.path("jobworker"), "enqueue", "noop", "--workspace", TestDatabase.workspace.text, "--json"],
            environment: [
                "DATABASE_URL": proxy.connectionString(database: database.name, role: TestDatabase.workerRole)
            ])
        try await lost.struck()
        let (status, output) = await added
        #expect(status == 0)
        let ids = try await database.query("SELECT id FROM public.jobs").map { try $0.decode("id", as: UUID.self) }
        #expect(ids.count == 1)
        #expect(output.contains(try #require(ids.first).text))
    }
}

extension TestDatabase {
    /// Adds these with one statement.
    func addJobs(_ count: Int) async throws -> [UUID] {
        let jobs = (0..<count).map { _ in
            NewJob(workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("{}"))
        }
        return try await store().enqueue(jobs).map(\.id)
    }

    /// Adds so many with one statement, time and again as all have ended, until the statement is hit that was waited for.
    /// - Returns: All of them; they have ended.
    func addJobs(_ count: Int, until struck: AsyncStream<Void>) async throws -> [UUID] {
        let hit = Gate()
        let striking = Task {
            try await struck.struck()
            hit.open()
        }
        var ids: [UUID] = []
        while !hit.isOpen, ids.count < 60 {
            ids += try await addJobs(count)
            try await waitUntilQuiet()
        }
        try await striking.value
        return ids
    }
}
