import FoundationEssentials
import JobWorker
import JobWorkerTesting
import Postgres
import Support
import Testing

@Suite(.database()) struct JobClientTests {
    private let database = TestDatabase.current
    private var client: JobClient { JobClient(pool: database.pool) }

    private func later(_ seconds: Int) async throws -> Timestamp {
        try #require(try await database.value("SELECT clock_timestamp() AS now", as: Timestamp.self))
            .advanced(by: .seconds(seconds))
    }

    @Test func `A client adds a job and sees how it stands`() async throws {
        let added = try await client.enqueue(
            "echo", in: TestDatabase.workspace, payload: ["a": 1], priority: .high, after: .seconds(600))
        let job = try #require(try await client.job(added.id))
        #expect(job.status == .pending)
        #expect(job.payload.text == #"{"a": 1}"#)
        #expect(job.attempts == 0)
        let dueIn = try #require(
            try await database.value(
                "SELECT extract(epoch FROM scheduled_for - now())::float8 AS due FROM public.jobs", as: Double.self))
        #expect((590...601).contains(dueIn))
        #expect(try await client.job(UUID()) == nil)
    }

    @Test func `A second job with the unique key of one that waits is that one`() async throws {
        let first = try await client.enqueue("echo", in: TestDatabase.workspace, payload: [1], uniqueKey: "k")
        let second = try await client.enqueue("echo", in: TestDatabase.workspace, payload: [2], uniqueKey: "k")
        #expect(second == EnqueuedJob(id: first.id, isDuplicate: true))
        #expect(try await database.count("job_type = 'echo'") == 1)
    }

    @Test func `Jobs of a caller's own transaction come and go with it`() async throws {
        let jobs = [
            NewJob(
                workspaceID: TestDatabase.workspace, type: "echo", payload: JSONText(#"{"n": 12345678901234567890.5}"#),
                queue: "q'; --", priority: .low, scheduledFor: try await later(60), maxAttempts: 3,
                timeout: .seconds(7),
                uniqueKey: "é\"\\"),
            NewJob(workspaceID: TestDatabase.workspace, type: "echo", payload: JSONText("[1]")),
        ]
        let insertion = try JobInsertion(jobs)
        #expect(insertion.parameters.count == 1)
        // As a driver would send it, by the number of the placeholder.
        let parameter = try #require(insertion.parameters.first)
        let parts = insertion.sql.split(separator: "$1")
        try #require(parts.count == 2)
        let statement: Statement = "\(sql: String(parts[0]))\(parameter)\(sql: String(parts[1]))"
        #expect(statement.sql == insertion.sql)

        struct Undone: Error {}
        await #expect(throws: (any Error).self) {
            _ = try await database.pool.transaction { connection in
                _ = try connection.execute(statement)
                throw Undone()
            }
        }
        #expect(try await database.count("true") == 0)

        let ids = try await database.query(statement).map { try $0.decode("id", as: UUID.self) }
        #expect(Set(ids) == Set(jobs.map(\.id)))
        let stored = try await client.job(jobs[0].id)
        #expect(stored?.payload.text == #"{"n": 12345678901234567890.5}"#)
        #expect(
            try await database.count(
                """
                job_queue = 'q''; --' AND priority = -5 AND max_attempts = 3 AND timeout_seconds = 7
                AND unique_key = 'é"\\' AND scheduled_for > now() AND created_by IS NULL
                """) == 1)
        #expect(try await database.query(statement).map { $0 }.isEmpty)
    }

    @Test func `A payload says nothing about its job's row, and what isn't one JSON value adds no job`() async throws {
        let foreign = try await database.insertWorkspace()
        let workspace = TestDatabase.workspace
        for payload in [#"{},"workspace_id":"\#(foreign.text)""#, #"{}},{"workspace_id":"\#(foreign.text)""#, "{", ""] {
            let insertion = try JobInsertion([
                NewJob(workspaceID: workspace, type: "echo", payload: JSONText(payload))
            ])
            let parts = insertion.sql.split(separator: "$1")
            let parameter = try #require(insertion.parameters.first)
            let refusal = try await TestDatabase.refusal {
                try await database.query("\(sql: String(parts[0]))\(parameter)\(sql: String(parts[1]))")
            }
            #expect(refusal == "22P02", "\(payload)")
            let job = NewJob(workspaceID: workspace, type: "echo", payload: JSONText(payload))
            let clientRefusal = try await TestDatabase.refusal { try await client.enqueue([job]) }
            #expect(clientRefusal == "22P02", "\(payload)")
        }
        #expect(try await database.count("true") == 0)
    }

    @Test func `A client closes its own connections, and leaves a pool that was given to it open`() async throws {
        let own = JobClient(database: database.workerSettings.connectionString)
        _ = try await own.enqueue("echo", in: TestDatabase.workspace, payload: [1])
        await own.close()
        await #expect(throws: PostgresError.self) { try await own.job(UUID()) }

        await client.close()
        _ = try await client.enqueue("echo", in: TestDatabase.workspace, payload: [2])
        #expect(try await database.count("job_type = 'echo'") == 2)
    }

    @Test func `A drain runs what is due, and what that adds, and leaves retries to their delay`() async throws {
        let processor = ScriptedProcessor("parent", "child", "stubborn") { job, context in
            switch job.type {
            case "parent":
                try await context.enqueue("child", payload: [String]())
            case "stubborn":
                throw JobFailure.retryable("not yet")
            default: break
            }
            return nil
        }
        _ = try await client.enqueue("parent", in: TestDatabase.workspace, payload: [String](), queue: "other")
        _ = try await client.enqueue("stubborn", in: TestDatabase.workspace, payload: [String]())
        var drain = QueueDrain(database: database.workerSettings.connectionString, processors: [processor])
        #expect(try await drain.run() == DrainedJobs(completed: 2, retried: 1))

        try await database.run("UPDATE public.jobs SET next_retry_at = NULL WHERE status = 'pending'")
        drain.retriesAtOnce = true
        #expect(try await drain.run() == DrainedJobs(retried: 3, failed: 1))
        #expect(try await drain.run() == DrainedJobs())
    }
}
