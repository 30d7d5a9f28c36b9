import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Rules of queues and limits with several workers, each with connections of its own.
@Suite(.database()) struct RulesOverProcessesTests {
    let database = TestDatabase.current

    /// Most runs at the same moment, by what the rows say.
    private func mostAtOnce(_ condition: String = "true") async throws -> Int {
        try await database.value(
            """
            SELECT coalesce(max(at_once), 0)::int FROM (
                SELECT (SELECT count(*) FROM public.jobs AS other
                        WHERE (\(sql: condition)) AND other.started_at <= jobs.started_at
                          AND coalesce(other.completed_at, 'infinity') > jobs.started_at) AS at_once
                FROM public.jobs WHERE \(sql: condition)) AS starts
            """) ?? 0
    }

    private func withWorkers(
        _ number: Int, _ processor: any JobProcessor, change: (inout WorkerConfiguration) -> Void = { _ in },
        _ body: () async throws -> Void
    ) async throws {
        guard number > 0 else { return try await body() }
        try await database.withWorker(processor, change: change) { _ in
            try await withWorkers(number - 1, processor, change: change, body)
        }
    }

    @Test func `a cap is never exceeded and never left unused`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('default', 3)")
        let brief = ScriptedProcessor("brief") { _, _ in
            try await Task.sleep(for: .milliseconds(2))
            return nil
        }
        try await withWorkers(4, brief) {
            for _ in 0..<10 {
                for _ in 0..<20 { try await database.insertJob("brief", createdAgo: .zero) }
            }
            try await database.waitUntilQuiet()
        }
        #expect(try await database.count("status = 'completed'") == 200)
        #expect(try await mostAtOnce() == 3)
    }

    @Test func `a worker that waits takes the place that another's run leaves`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('narrow', 1)")
        let gate = Gate()
        let held = try await database.insertJob("held", queue: "narrow")
        let holder = ScriptedProcessor("held") { _, _ in
            await gate.passed()
            return nil
        }
        try await database.withWorker(holder, change: { $0.queues = [.init(name: "narrow")] }) { _ in
            try await database.waitUntil("status = 'processing'")
            // Of a type that only the other serves: its place has to be announced.
            try await database.withWorker(
                ScriptedProcessor("noop"), change: { $0.queues = [.init(name: "narrow")] }
            ) { other in
                for await _ in other.state.transitions where other.state.snapshot.isListening { break }
                try await database.waitUntil("true", of: "jobworker.waiting_workers")
                let next = try await database.insertJob("noop", queue: "narrow")
                try await Task.sleep(for: .milliseconds(300))
                #expect(try await database.job(next).status == "pending")
                gate.open()
                try await database.waitUntil("status = 'completed' AND job_type = 'noop'", atMost: .seconds(10))
            }
        }
        #expect(try await database.job(held).status == "completed")
        #expect(try await mostAtOnce() == 1)
    }

    @Test func `a queue that gets a cap while workers are busy is held from then on, and let go at once`() async throws
    {
        let brief = ScriptedProcessor("brief") { _, _ in
            try await Task.sleep(for: .milliseconds(5))
            return nil
        }
        for _ in 0..<600 { try await database.insertJob("brief") }
        try await withWorkers(3, brief) {
            try await database.waitUntil("status = 'completed'")
            try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('default', 1)")
            let capped: String = try #require(try await database.value("SELECT clock_timestamp()::text"))
            // What was claimed quickly before ends, and so do claims that don't see the cap yet.
            try await eventually("one runs") {
                let begun = "datname = current_database() AND xact_start < '\(capped)'"
                guard try await database.count(begun, of: "pg_stat_activity") == 0 else { return false }
                return try await database.count("status = 'processing'") <= 1
            }
            for _ in 0..<20 { #expect(try await database.count("status = 'processing'") <= 1) }
            try await database.run("UPDATE public.job_queues SET max_running = NULL")
            try await database.waitUntilQuiet()
        }
    }

    @Test func `a rate holds over four workers, and is used up`() async throws {
        try await database.run(
            "INSERT INTO public.job_limits (name, job_type, rate, period, burst) VALUES ('r', 'noop', 40, '1 s', 5)")
        for _ in 0..<60 { try await database.insertJob() }
        // The timer's look would come too late: it is the next token that is waited for.
        try await withWorkers(4, ScriptedProcessor("noop"), change: { $0.pollInterval = .seconds(600) }) {
            try await database.waitUntilQuiet()
        }
        #expect(try await RateCheck(database: database).worst(rate: 40, burst: 5) <= 0)
    }

    @Test func `a limit for a type over four workers is never exceeded`() async throws {
        try await database.run(
            """
            INSERT INTO public.job_limits (name, job_type, each_workspace, max_running)
            VALUES ('type', 'brief', false, 4), ('workspace', NULL, true, 2)
            """)
        let brief = ScriptedProcessor("brief") { _, _ in
            try await Task.sleep(for: .milliseconds(2))
            return nil
        }
        var workspaces = [TestDatabase.workspace]
        for number in 0..<2 { workspaces.append(try await database.insertWorkspace("W\(number)")) }
        for _ in 0..<30 {
            for workspace in workspaces { try await database.insertJob("brief", workspace: workspace) }
        }
        try await withWorkers(4, brief) { try await database.waitUntilQuiet() }
        #expect(try await mostAtOnce() == 4)
        for workspace in workspaces { #expect(try await mostAtOnce("workspace_id = '\(workspace.text)'") <= 2) }
    }

    @Test func `a dead worker's place is free once its job is taken back`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, max_running) VALUES ('default', 1)")
        try await database.insertJob("noop", status: .processing, workerID: "dead")
        let waiting = try await database.insertJob()
        try await database.withWorker(
            ScriptedProcessor("noop"),
            change: {
                $0.pollInterval = .milliseconds(100)
                $0.staleAfter = .seconds(2)
            }
        ) { worker in
            try await eventually("it has looked a few times") { worker.state.snapshot.lastPollAt != nil }
            #expect(try await database.job(waiting).status == "pending")
            try await database.waitUntil("status = 'completed'")
        }
        #expect(try await database.count("worker_deaths = 1") == 1)
    }

    @Test func `a low priority starts under a constant load of higher ones, where waiting counts`() async throws {
        try await database.run("INSERT INTO public.job_queues (name, ageing) VALUES ('default', '50 ms')")
        let low = try await database.insertJob("load", priority: -10, createdAgo: .zero)
        let database = database
        let load = ScriptedProcessor("load") { job, _ in
            // Each high one brings the next two.
            if job.priority == 10, try await database.job(low).status == "pending" {
                for _ in 0..<2 { try await database.insertJob("load", priority: 10, createdAgo: .zero) }
            }
            return nil
        }
        for _ in 0..<20 { try await database.insertJob("load", priority: 10, createdAgo: .zero) }
        try await database.withWorker(load, change: { $0.maxConcurrent = 2 }) { _ in
            try await database.waitUntil("status = 'completed' AND priority = -10", atMost: .seconds(30))
        }
    }
}
