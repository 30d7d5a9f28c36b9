import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// A connection that breaks while a statement is under way: before it arrives, or after it took effect.
@Suite(.database()) struct LostReplyTests {
    let database = TestDatabase.current

    @Test(arguments: ["jobworker:poll", "jobworker:claim"])
    func `a job whose claim was never answered is taken back, although its worker stays up`(
        statement: String
    ) async throws {
        let proxy = try FaultProxy(to: database.server)
        let runs = Counter<UUID>()
        try await database.withWorker(
            counting(runs), through: database.workerSettings(through: proxy), change: { $0.hasten() }
        ) { worker in
            // Only a claim that takes something is of interest: the first poll must be over.
            try await database.waitUntil("id = '\(worker.configuration.workerID)'", of: "public.job_workers")
            if statement == "jobworker:claim" { worker.reconfigure { $0.pollInterval = .seconds(1) } }
            try await database.waitUntil("state = 'idle' AND query LIKE '%jobworker_self%'", of: "pg_stat_activity")
            let lost = proxy.arm(FaultProxy.Rule(statement, .dropReply))
            let id = try await database.insertJob("noop")
            await lost.struck()
            try await database.waitUntil("status = 'completed'")
            #expect(runs[id] == 1)
            #expect(try await database.job(id).attempts == 2)
            #expect(worker.state.snapshot.counts.reaped == 1)
        }
    }

    @Test(arguments: [FaultProxy.Rule.Action.dropReply, .closeBefore])
    func `a completion that was not answered is repeated, and the job runs once`(
        action: FaultProxy.Rule.Action
    ) async throws {
        let proxy = try FaultProxy(to: database.server)
        let runs = Counter<UUID>()
        try await database.withWorker(
            counting(runs), through: database.workerSettings(through: proxy), change: { $0.hasten() }
        ) { worker in
            let lost = proxy.arm(FaultProxy.Rule("jobworker:complete", action))
            let id = try await database.insertJob("noop")
            await lost.struck()
            try await database.waitUntil("status = 'completed'")
            // The next one proves that the completer has its answer.
            try await database.insertJob("noop")
            try await database.waitUntilQuiet()
            #expect(runs[id] == 1)
            #expect(try await database.job(id).attempts == 1)
            #expect(try await database.logs(of: id).filter { $0.message.hasPrefix("Completed in") }.count == 1)
            #expect(worker.state.snapshot.counts.fenced == 0)
        }
    }

    @Test(arguments: [FaultProxy.Rule.Action.dropReply, .closeBefore])
    func `a failure that was not answered is repeated, and counts once`(action: FaultProxy.Rule.Action) async throws {
        let proxy = try FaultProxy(to: database.server)
        let fails = ScriptedProcessor("noop") { _, _ in throw JobFailure.permanent("no use") }
        try await database.withWorker(
            fails, through: database.workerSettings(through: proxy), change: { $0.hasten() }
        ) { worker in
            let lost = proxy.arm(FaultProxy.Rule("jobworker:settle", action))
            let id = try await database.insertJob("noop")
            await lost.struck()
            try await database.waitUntil("status = 'failed'")
            try await database.insertJob("noop")
            try await database.waitUntilQuiet()
            #expect(try await database.logs(of: id).filter { $0.message.hasPrefix("Failed on attempt") }.count == 1)
            #expect(worker.state.snapshot.counts.fenced == 0)
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
        await lost.struck()
        let (status, output) = await added
        #expect(status == 0)
        let ids = try await database.query("SELECT id FROM public.jobs").map { try $0.decode("id", as: UUID.self) }
        #expect(ids.count == 1)
        #expect(output.contains(try #require(ids.first).text))
    }

    private func counting(_ runs: Counter<UUID>) -> ScriptedProcessor {
        ScriptedProcessor("noop") { job, _ in
            runs.add(job.id)
            return nil
        }
    }
}
