import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct EnqueueCommandTests {
    let database = TestDatabase.current
    let workspace = TestDatabase.workspace.uuidString

    private func enqueue(_ arguments: String...) async throws -> CommandRun {
        try await CommandRun.of(arguments: ["enqueue", "--workspace", workspace] + arguments, database: database)
    }

    private func added(_ run: CommandRun) throws -> UUID {
        #expect(run.status == 0, "\(run.error)")
        return try #require(UUID(uuidString: String(run.lines.first ?? "")))
    }

    @Test func `a job is added as described, and its id printed`() async throws {
        let id = try added(
            try await enqueue(
                "report", "--payload", "{\"n\": 12345678901234567890.10}", "--queue", "imports", "--priority", "-7",
                "--at",
                "2030-01-02T03:04:05Z", "--max-attempts", "2", "--timeout", "15m", "--unique-key", "k"))
        let job = try await database.job(id)
        #expect(job.queue == "imports" && job.priority == -7 && job.maxAttempts == 2 && job.uniqueKey == "k")
        #expect(
            job.scheduledFor?.description == "2030-01-02T03:04:05.000Z" && job.insertedBy == TestDatabase.workerRole)
        let payload = try await database.value("SELECT payload::text FROM public.jobs", as: String.self)
        #expect(payload == "{\"n\": 12345678901234567890.10}")
        #expect(try await database.value("SELECT timeout_seconds FROM public.jobs", as: Int.self) == 900)
    }

    @Test func `a delay counts from the database's clock`() async throws {
        let id = try added(try await enqueue("noop", "--in", "10m", "--priority", "high"))
        let job = try await database.job(id)
        let created = try #require(job.createdAt)
        let delay = try #require(job.scheduledFor).duration(since: created)
        #expect(delay > .seconds(590) && delay < .seconds(610))
        #expect(job.priority == 5)
    }

    @Test func `a unique key gives back the job that holds it`() async throws {
        let first = try added(try await enqueue("noop", "--unique-key", "k"))
        let second = try await enqueue("noop", "--unique-key", "k", "--json")
        #expect(try second.json()["id"]?.string == first.uuidString.lowercased())
        #expect(try second.json()["duplicate"]?.bool == true)
        #expect(try await database.count("true") == 1)
    }

    @Test func `a payload may come from standard input`() async throws {
        let run = try await CommandRun.of(
            "enqueue", "noop", "--workspace", workspace, "--payload", "-", database: database, input: "{\"a\": [1]}\n")
        _ = try added(run)
        #expect(try await database.value("SELECT payload::text FROM public.jobs", as: String.self) == "{\"a\": [1]}")
    }

    @Test func `mistakes are found before the database is asked`() async throws {
        let run = try await CommandRun.of(
            "enqueue", "noop", "--workspace", "x", "--payload", "{", "--priority", "11",
            environment: ["DATABASE_URL": "postgresql://127.0.0.1:1/x"])
        #expect(run.status == 64 && run.output == "")
        #expect(run.error.split(separator: "\n").count == 5)
    }

    @Test func `a workspace that doesn't exist is 2`() async throws {
        let run = try await CommandRun.of("enqueue", "noop", "--workspace", UUID().uuidString, database: database)
        #expect(run.status == 2 && run.error.contains("there is no workspace"))
    }

    @Test func `a file is added in batches, one id a line`() async throws {
        let folder = try Folder()
        let lines = (0..<1203).map { "{\"job_type\":\"noop\",\"payload\":{\"n\":\($0)}}" }
        let run = try await enqueue("--batch", try folder.write(lines.joined(separator: "\n"), to: "jobs.jsonl"))
        #expect(run.status == 0 && run.lines.count == 1203 && run.error.contains("1203 jobs added"))
        #expect(try await database.count("job_type = 'noop'") == 1203)
    }

    @Test func `of a file with a mistake nothing is added`() async throws {
        let folder = try Folder()
        let lines = (0..<700).map { _ in "{\"job_type\":\"noop\"}" } + ["{\"job_type\":7}"]
        let run = try await enqueue("--batch", try folder.write(lines.joined(separator: "\n"), to: "jobs.jsonl"))
        #expect(run.status == 64 && run.error.contains("line 701: job_type must be a text"))
        #expect(try await database.count("true") == 0)
    }

    @Test func `of a stream with a mistake it is told what was added`() async throws {
        let lines = (0..<700).map { _ in "{\"job_type\":\"noop\"}" } + ["{"]
        let run = try await CommandRun.of(
            "enqueue", "--workspace", workspace, "--batch", "-", database: database,
            input: lines.joined(separator: "\n"))
        #expect(run.status == 64 && run.lines.count == 500)
        #expect(run.error.contains("line 701") && run.error.contains("up to line 500 was added"))
        #expect(try await database.count("true") == 500)
    }

    @Test func `a wait ends with the job, and with 1 if it failed`() async throws {
        async let waiting = enqueue("noop", "--wait", "--json")
        while try await database.count("true") == 0 { try await Task.sleep(for: .milliseconds(20)) }
        try await database.query(
            "UPDATE public.jobs SET status = 'failed', error_message = 'No luck', completed_at = now()")
        let run = try await waiting
        #expect(run.status == 1 && run.error.contains("No luck"))
        #expect(try run.json()["status"]?.string == "failed")
    }
}
