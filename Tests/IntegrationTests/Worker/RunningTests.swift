import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// From INSERT to the stored outcome, in a worker of this process.
@Suite(.database()) struct RunningTests {
    let database = TestDatabase.current

    @Test func `a plain insert is run, and its result, progress and log are stored`() async throws {
        let greeter = ScriptedProcessor("greet") { job, context in
            try await context.progress(40, "Looking for words")
            try await context.log(.info, "Found some", metadata: ["count": 2])
            return JSONText("{\"greeting\":\"hello\"}")
        }
        try await database.withWorker(greeter) { _ in
            try await database.query(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload)
                VALUES (\(TestDatabase.workspace), 'greet', '{}')
                """)
            try await database.waitUntil("status = 'completed'")
        }
        let row = try #require(try await database.query("SELECT id FROM public.jobs").first)
        let job = try await database.job(try row.decode("id"))
        #expect(job.attempts == 1)
        #expect(job.result == "{\"greeting\": \"hello\"}")
        #expect(job.progress == "{\"message\": \"Looking for words\", \"percentage\": 100}")
        #expect(job.errorMessage == nil)
        #expect(!job.leaseIsOpen)
        #expect(job.completedAt != nil && job.failedAt == nil)
        let messages = try await database.logs(of: try row.decode("id")).map(\.message)
        #expect(messages.first == "Attempt 1 of 5 started")
        #expect(messages.contains("Found some"))
        #expect(messages.last?.hasPrefix("Completed in ") == true)
    }

    @Test func `an insert wakes an idle worker without waiting for the poll`() async throws {
        try await database.withWorker(ScriptedProcessor("noop")) { worker in
            // The poll interval is five minutes: only the notification can start it in time.
            for await _ in worker.state.transitions where worker.state.snapshot.isListening { break }
            try await database.insertJob()
            try await database.waitUntil("status = 'completed'", atMost: .seconds(10))
        }
    }

    @Test func `without notifications jobs are found by polling`() async throws {
        var nowhere = database.workerSettings
        nowhere.connectionString = "host=/nonexistent"
        try await database.withWorker(
            ScriptedProcessor("noop"), listen: nowhere, change: { $0.pollInterval = .milliseconds(100) }
        ) { worker in
            try await database.insertJob()
            try await database.waitUntil("status = 'completed'")
            #expect(!worker.state.snapshot.isListening)
        }
    }

    @Test func `never more jobs run at once than allowed, counted in the database`() async throws {
        let most = Counter<String>()
        let database = database
        let counting = ScriptedProcessor("count") { _, _ in
            let running = try await database.count("status = 'processing'")
            most.add(running > 3 ? "too many" : "fine")
            return nil
        }
        for _ in 0..<60 { try await database.insertJob("count") }
        try await database.withWorker(counting, change: { $0.maxConcurrent = 3 }) { _ in
            try await database.waitUntilQuiet()
        }
        #expect(most["fine"] == 60)
        #expect(most["too many"] == 0)
    }

    @Test func `a queue's own cap holds beside the worker's`() async throws {
        let most = Counter<String>()
        let database = database
        let counting = ScriptedProcessor("count") { job, _ in
            let running = try await database.count("status = 'processing' AND job_queue = 'narrow'")
            if running > 2 { most.add("too many") }
            most.add(job.queue)
            return nil
        }
        for _ in 0..<20 {
            try await database.insertJob("count", queue: "narrow")
            try await database.insertJob("count", queue: "wide")
        }
        try await database.withWorker(
            counting,
            change: {
                $0.maxConcurrent = 8
                $0.queues = [.init(name: "narrow", maxConcurrent: 2), .init(name: "wide")]
            }
        ) { _ in
            try await database.waitUntilQuiet()
        }
        #expect(most.all == ["narrow": 20, "wide": 20])
    }

    @Test func `jobs of a type with a limit keep those of others from no slot`() async throws {
        let database = database
        let most = Counter<String>()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        var slow = ScriptedProcessor("slow") { _, _ in
            most.add(try await database.count("status = 'processing' AND job_type = 'slow'") > 1 ? "too many" : "fine")
            for await _ in gate {}
            return nil
        }
        slow.terms.maxConcurrent = 1
        for _ in 0..<5 { try await database.insertJob("slow", priority: 1) }
        for _ in 0..<20 { try await database.insertJob("noop") }
        try await database.withWorker(slow, ScriptedProcessor("noop"), change: { $0.maxConcurrent = 10 }) { _ in
            // While one of them runs and none may start.
            try await database.waitUntil("job_type = 'slow' AND status = 'processing'")
            try await eventually("all the others have run") {
                try await database.count("job_type = 'noop' AND status = 'completed'") == 20
            }
            #expect(try await database.count("job_type = 'slow' AND status = 'completed'") == 0)
            opener.finish()
            try await database.waitUntilQuiet()
        }
        #expect(most.all == ["fine": 5])
    }

    /// The poll interval is five minutes.
    @Test func `jobs of a type with a limit go on one after another while others come and go`() async throws {
        let database = database
        let runs = Counter<String>()
        var slow = ScriptedProcessor("slow") { job, _ in
            runs.add("slow")
            return nil
        }
        slow.terms.maxConcurrent = 1
        try await database.withWorker(slow, ScriptedProcessor("noop"), change: { $0.maxConcurrent = 4 }) { _ in
            try await database.waitUntilIdle()
            for number in 0..<40 {
                try await database.insertJob("slow", priority: number % 2)
                try await database.insertJob("noop")
            }
            try await database.waitUntilQuiet()
        }
        #expect(runs["slow"] == 40)
    }

    @Test func `a full worker that is told of a job tells another one that waits`() async throws {
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let long = ScriptedProcessor("long") { _, _ in
            for await _ in gate {}
            return nil
        }
        try await database.withWorker(long, ScriptedProcessor("noop"), change: { $0.maxConcurrent = 1 }) { _ in
            try await database.waitUntilIdle()
            try await database.insertJob("long")
            try await database.waitUntil("job_type = 'long' AND status = 'processing'")
            let other = try await WaitingWorker(in: database, id: "other", jobTypes: ["noop"])
            // The full one is drawn.
            try await database.run(
                "UPDATE jobworker.waiting_workers SET lot = CASE worker_id WHEN 'other' THEN 0 ELSE 1 END")
            try await database.insertJob()
            let told = try await other.connection.notifications(timeout: .seconds(30)).map(\.payload)
            #expect(told.count == 1)
            if case .lane("default", 0, _)? = told.first.map({ DueAnnouncement(payload: $0) }) {
            } else {
                Issue.record("\(told)")
            }
            opener.finish()
            try await database.waitUntilQuiet()
        }
    }

    @Test func `a job wakes the worker that has a slot, and the one that serves its type`() async throws {
        let database = database
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let long = ScriptedProcessor("long") { _, _ in
            for await _ in gate {}
            return nil
        }
        // The poll interval is five minutes.
        try await database.withWorker(long, ScriptedProcessor("noop"), change: { $0.maxConcurrent = 1 }) { _ in
            try await database.waitUntilIdle()
            try await database.insertJob("long")
            try await database.waitUntil("job_type = 'long' AND status = 'processing'")
            try await database.withWorker(ScriptedProcessor("noop"), change: { $0.maxConcurrent = 5 }) { _ in
                try await database.withWorker(ScriptedProcessor("report")) { _ in
                    try await database.waitUntilIdle(workers: 3)
                    for _ in 0..<20 {
                        try await database.insertJob()
                        try await database.waitUntil("job_type = 'noop' AND status = 'completed'")
                        try await database.run("DELETE FROM public.jobs WHERE job_type = 'noop'")
                    }
                }
            }
            opener.finish()
            try await database.waitUntilQuiet()
        }
    }

    @Test func `two workers run ten thousand jobs once each`() async throws {
        let runs = Counter<UUID>()
        let noop = ScriptedProcessor("noop") { job, _ in
            runs.add(job.id)
            return nil
        }
        try await database.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            SELECT \(TestDatabase.workspace), 'noop', '{}' FROM generate_series(1, 10000)
            """)
        let claimed = try await database.withWorker(
            noop,
            change: {
                $0.maxConcurrent = 50; $0.lifecycleLogs = nil
            }
        ) { first in
            try await database.withWorker(
                noop,
                change: {
                    $0.maxConcurrent = 50; $0.lifecycleLogs = nil
                }
            ) { second in
                try await database.waitUntilQuiet()
                return (first.state.snapshot.counts.claimed, second.state.snapshot.counts.claimed)
            }
        }
        #expect(runs.all.count == 10_000)
        #expect(runs.all.values.allSatisfy { $0 == 1 })
        #expect(try await database.count("status = 'completed' AND attempts = 1") == 10_000)
        #expect(claimed.0 + claimed.1 == 10_000)
        #expect(claimed.0 > 0 && claimed.1 > 0)
    }

    @Test func `the level of the rows about a job's course changes while the worker runs`() async throws {
        try await database.withWorker(ScriptedProcessor("noop")) { worker in
            let before = try await database.insertJob()
            try await database.waitUntilQuiet()
            worker.reconfigure { $0.lifecycleLogs = nil }
            // A claim that was on its way writes as before: it has ended when another look has.
            _ = await worker.pollNow(waitingAtMost: .seconds(60))
            let after = try await database.insertJob()
            try await database.waitUntilQuiet()
            #expect(try await database.logs(of: before).count == 2)
            #expect(try await database.logs(of: after).isEmpty)
        }
    }

    @Test func `jobs of types that the application runs itself are never touched`() async throws {
        let pending = try await database.insertJob("import_csv")
        let running = try await database.insertJob(
            "import_csv", status: .processing, isLeased: false, startedAgo: .seconds(7200))
        try await database.withWorker(ScriptedProcessor("noop"), change: { $0.pollInterval = .milliseconds(50) }) {
            worker in
            try await database.insertJob()
            try await database.waitUntil("job_type = 'noop' AND status = 'completed'")
            _ = await worker.pollNow(waitingAtMost: .seconds(5))
        }
        #expect(try await database.job(pending).status == "pending")
        #expect(try await database.job(running).status == "processing")
    }

    @Test func `a look that was asked for tells what came of the jobs`() async throws {
        let mixed = ScriptedProcessor("good", "bad", "worse") { job, _ in
            switch job.type {
            case "good": return nil
            case "bad": throw JobFailure.retryable("try again")
            default: throw JobFailure.permanent("hopeless")
            }
        }
        // Nothing wakes this worker but the question.
        var nowhere = database.workerSettings
        nowhere.connectionString = "host=/nonexistent"
        try await database.withWorker(mixed, listen: nowhere) { worker in
            _ = await worker.state.transitions.first { _ in worker.state.snapshot.phase == .working }
            _ = await worker.pollNow(waitingAtMost: .zero)
            for type in ["good", "good", "bad", "worse"] { try await database.insertJob(type) }
            let report = await worker.pollNow(waitingAtMost: .seconds(20))
            #expect(report.refusal == nil)
            #expect(report.claimed == 4)
            #expect(report.completed == 2)
            #expect(report.retried == 1)
            #expect(report.failed == 1)
            #expect(report.running == 0)
        }
    }
}
