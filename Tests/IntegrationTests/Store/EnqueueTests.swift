import FoundationEssentials
import Postgres
import Support
import Testing

@testable import JobWorker

@Suite(.database()) struct EnqueueTests {
    let database = TestDatabase.current

    private var store: JobStore { database.store() }

    private func newJob(_ type: String = "noop", key: String? = nil, workspace: UUID = TestDatabase.workspace) -> NewJob
    {
        NewJob(workspaceID: workspace, type: type, payload: JSONText("{\"a\": 1}"), uniqueKey: key)
    }

    @Test func `a job is stored as given`() async throws {
        let user = try await database.insertUser()
        let at = try #require(Timestamp(text: "2099-01-02T03:04:05Z"))
        let job = NewJob(
            workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText("[1]"), queue: "mail", priority: .high,
            scheduledFor: at, maxAttempts: 3, timeout: .seconds(90), uniqueKey: "k", createdBy: user)
        #expect(try await store.enqueue([job]) == [EnqueuedJob(id: job.id, isDuplicate: false)])
        let row = try await database.job(job.id)
        #expect(row.status == "pending" && row.queue == "mail" && row.priority == 5 && row.scheduledFor == at)
        #expect(
            row.maxAttempts == 3 && row.uniqueKey == "k" && row.attempts == 0
                && row.insertedBy == TestDatabase.workerRole)
        #expect(
            try await database.count("timeout_seconds = 90 AND created_by = '\(user.text)' AND payload = '[1]'") == 1)
    }

    @Test func `jobs that are alike but for their payloads are stored as given`() async throws {
        let user = try await database.insertUser()
        let at = try #require(Timestamp(text: "2099-01-02T03:04:05Z"))
        let payloads = [#"{"a": "quote \" backslash \\ ü"}"#, "[1, null]", #""text""#]
        let jobs = payloads.map {
            NewJob(
                workspaceID: TestDatabase.workspace, type: "noop", payload: JSONText($0), queue: "mail",
                priority: .high,
                scheduledFor: at, maxAttempts: 3, timeout: .seconds(90), createdBy: user)
        }
        #expect(try await store.enqueue(jobs) == jobs.map { EnqueuedJob(id: $0.id, isDuplicate: false) })
        for (job, payload) in zip(jobs, payloads) {
            let stored = try await database.query(
                """
                SELECT payload = \(RawJSON(payload)) AND job_queue = 'mail' AND priority = 5 AND scheduled_for = \(at)
                    AND max_attempts = 3 AND timeout_seconds = 90 AND created_by = \(user) AND unique_key IS NULL AS is_so
                FROM public.jobs WHERE id = \(job.id)
                """)
            #expect(try stored.first?.decode("is_so", as: Bool.self) == true)
        }
    }

    @Test func `the answers stand in the order of the jobs`() async throws {
        let jobs = (0..<500).map { _ in newJob() }
        #expect(try await store.enqueue(jobs).map(\.id) == jobs.map(\.id))
        #expect(try await store.enqueue([]) == [])
    }

    @Test func `repeating a call whose answer was lost adds nothing`() async throws {
        let jobs = [newJob(), newJob(key: "k")]
        let first = try await store.enqueue(jobs)
        #expect(try await store.enqueue(jobs) == first)
        #expect(try await database.count("true") == 2)
    }

    @Test func `repeating a call of which only a part was new adds the rest`() async throws {
        let jobs = (0..<3).map { _ in newJob() }
        _ = try await store.enqueue(Array(jobs.prefix(2)))
        #expect(try await store.enqueue(jobs).map(\.id) == jobs.map(\.id))
        #expect(try await store.enqueue(jobs).map(\.isDuplicate) == [false, false, false])
        #expect(try await database.count("true") == 3)
    }

    @Test(arguments: [JobStatus.pending, .blocked, .processing])
    func `while a job with the key is active, another gives back its id`(status: JobStatus) async throws {
        let active = try await database.insertJob(status: status, uniqueKey: "k")
        #expect(try await store.enqueue([newJob(key: "k")]) == [EnqueuedJob(id: active, isDuplicate: true)])
    }

    @Test(arguments: [JobStatus.completed, .failed, .deadLetter, .cancelled])
    func `a key whose job has ended is free`(status: JobStatus) async throws {
        try await database.insertJob(status: status, uniqueKey: "k")
        #expect(try await store.enqueue([newJob(key: "k")]).map(\.isDuplicate) == [false])
    }

    @Test func `a key holds for one workspace and one type`() async throws {
        try await database.insertJob(uniqueKey: "k")
        let other = try await database.insertWorkspace()
        let answers = try await store.enqueue([
            newJob("sleep", key: "k"), newJob(key: "k", workspace: other), newJob(key: "K"),
        ])
        #expect(answers.map(\.isDuplicate) == [false, false, false])
    }

    @Test func `one key twice in a batch is one job`() async throws {
        let jobs = [newJob(key: "k"), newJob(key: "k"), newJob()]
        let answers = try await store.enqueue(jobs)
        #expect(Set(answers[..<2].map(\.id)).count == 1 && answers[..<2].filter(\.isDuplicate).count == 1)
        #expect(try await database.count("true") == 2)
    }

    @Test func `fifty clients with one key add one job and learn its id`() async throws {
        let pool = ConnectionPool(database.workerSettings, limit: 20)
        let store = JobStore(pool: pool)
        let answers = try await withThrowingTaskGroup(of: EnqueuedJob?.self) { group in
            for _ in 0..<50 {
                let job = newJob(key: "k")
                group.addTask { try await store.enqueue([job]).first }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(answers.map(\.?.id)).count == 1)
        #expect(answers.filter { $0?.isDuplicate == false }.count == 1)
        #expect(try await database.count("true") == 1)
        await pool.close()
    }

    @Test func `all or none: a job the database refuses keeps the others out`() async throws {
        let unknown = newJob(workspace: UUID())
        #expect(try await TestDatabase.refusal { try await store.enqueue([newJob(), unknown]) } == "23503")
        #expect(try await database.count("true") == 0)
    }
}
