import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Completions and a claim in one statement.
@Suite(.database()) struct ExchangeTests {
    let database = TestDatabase.current

    private var store: JobStore { database.store() }

    private func running() async throws -> Claim {
        try await database.claim(of: try await database.insertJob(status: .processing))
    }

    @Test func `what has ended is stored, and what is due is claimed`() async throws {
        let done = try await running()
        let due = try await database.insertJob(priority: 3)
        try await database.insertJob(priority: 1)
        let answer = try await store.exchange([(done, JSONText("{\"credits\": 1}"))], for: .test(limit: 1))
        #expect(answer.missing.isEmpty && answer.claimed.map(\.job.id) == [due])
        let row = try await database.job(done.jobID)
        #expect(row.status == "completed" && row.result == "{\"credits\": 1}" && !row.leaseIsOpen)
        #expect(try await database.logs(of: done.jobID).map { String($0.message.prefix(13)) } == ["Completed in "])
        #expect(try await database.job(due).status == "processing")
        #expect(try await database.count("status = 'pending'") == 1)
    }

    @Test func `where nothing is to be claimed, what has ended is stored alone`() async throws {
        let done = try await running()
        try await database.insertJob()
        #expect(try await store.exchange([(done, nil)], for: nil).claimed.isEmpty)
        #expect(try await database.job(done.jobID).status == "completed")
        let other = try await running()
        #expect(try await store.exchange([(other, nil)], for: .test(limit: 0)).missing.isEmpty)
        #expect(try await database.count("status = 'pending'") == 1)
    }

    @Test func `each job gets its own result, null and none are told apart`() async throws {
        var claims: [Claim] = []
        for _ in 0..<3 { claims.append(try await running()) }
        let results = [JSONText("\"a,\\\"b\\\"\""), nil, JSONText("null")]
        _ = try await store.exchange(Array(zip(claims.reversed(), results)), for: nil)
        #expect(try await database.job(claims[2].jobID).result == "\"a,\\\"b\\\"\"")
        #expect(try await database.job(claims[1].jobID).result == nil)
        #expect(try await database.job(claims[0].jobID).result == "null")
    }

    @Test func `a stale token stores nothing and is named`() async throws {
        let claim = try await running()
        let stale = Claim(jobID: claim.jobID, token: claim.token + 1_000_000)
        let answer = try await store.exchange([(stale, JSONText("1"))], for: .test())
        #expect(answer.missing == [stale])
        #expect(try await database.job(claim.jobID).status == "processing")
        #expect(try await database.logs(of: claim.jobID).isEmpty)
    }

    @Test(arguments: [JobStatus.cancelled, .failed, .pending]) func `what has ended otherwise stays so`(
        status: JobStatus
    ) async throws {
        let claim = try await database.claim(of: try await database.insertJob(status: status, isLeased: true))
        #expect(try await store.exchange([(claim, JSONText("1"))], for: nil).missing == [claim])
        #expect(try await database.job(claim.jobID).status == status.rawValue)
    }

    @Test func `one result the database can't hold refuses all, and nothing is claimed`() async throws {
        let (good, bad) = (try await running(), try await running())
        try await database.insertJob()
        let refusal = try await TestDatabase.refusal {
            try await store.exchange([(good, JSONText("1")), (bad, JSONText("\"\\u0000\""))], for: .test())
        }
        #expect(refusal == "22P05")
        #expect(try await database.count("status = 'processing'") == 2)
        #expect(try await database.count("status = 'pending'") == 1)
    }

    @Test func `a row that somebody has locked is waited for no longer than a moment`() async throws {
        let (locked, free) = (try await running(), try await running())
        let holder = try await Connection.open(database.settings)
        try await holder.runScript("BEGIN")
        _ = try await holder.query("SELECT FROM public.jobs WHERE id = \(locked.jobID) FOR UPDATE")
        let refusal = try await TestDatabase.refusal {
            try await store.exchange([(locked, nil), (free, nil)], for: nil)
        }
        #expect(refusal == "55P03")
        // The limit was of that statement alone.
        #expect(try await store.complete([(free, nil)]) == [free])
        await holder.close()
    }

    @Test func `lanes are looked at from where they are said to be unseen`() async throws {
        let old = try await database.insertJob(createdAgo: .seconds(100))
        let new = try await database.insertJob(createdAgo: .seconds(10))
        let from = try await database.query("SELECT now() - interval '50 s' AS moment")[0]
            .decode("moment", as: Timestamp.self)
        func lanes(_ priorities: [Int]) -> [ClaimRequest.Lane] {
            priorities.map { .init(queue: "default", priority: $0, from: .init(due: from)) }
        }
        #expect(try await store.claim(.test(lanes: lanes([1]))).isEmpty)
        #expect(try await store.claim(.test(lanes: [])).isEmpty)
        // One lane and several are two forms of the statement.
        #expect(try await store.claim(.test(lanes: lanes([0]))).map(\.job.id) == [new])
        #expect(try await store.claim(.test(lanes: lanes([1, 0]))).isEmpty)
        #expect(try await store.claim(.test()).map(\.job.id) == [old])
    }

    @Test func `a paused queue is left alone in every form of the claim`() async throws {
        try await database.insertJob()
        try await database.run("INSERT INTO public.job_queues (name, paused_at) VALUES ('default', now())")
        let lane = ClaimRequest.Lane(queue: "default", priority: 0, from: nil)
        #expect(try await store.claim(.test(lanes: [lane])).isEmpty)
        #expect(try await store.claim(.test(lanes: [lane, .init(queue: "mail", priority: 0, from: nil)])).isEmpty)
        #expect(try await store.claim(.test()).isEmpty)
    }

    @Test func `several lanes are emptied by priority, then by age`() async throws {
        let last = try await database.insertJob(priority: 0, createdAgo: .seconds(300))
        let first = try await database.insertJob(priority: 5, createdAgo: .seconds(10))
        let second = try await database.insertJob(priority: 0, createdAgo: .seconds(400))
        let lanes = [0, 5].map { ClaimRequest.Lane(queue: "default", priority: $0, from: nil) }
        #expect(try await store.claim(.test(limit: 2, lanes: lanes)).map(\.job.id) == [first, second])
        #expect(try await store.claim(.test(limit: 2, lanes: lanes)).map(\.job.id) == [last])
    }

    @Test func `the lanes of a queue are its priorities that hold something`() async throws {
        try await database.insertJob(priority: 5, scheduledIn: .seconds(600))
        try await database.insertJob(priority: -2)
        try await database.insertJob(queue: "mail", priority: 1)
        try await database.insertJob(status: .completed, priority: 7)
        func lanes(_ queues: String...) async throws -> [String] {
            try await store.lanes(of: queues.map { .init(name: $0, free: 1) }).lanes.map {
                "\($0.queue) \($0.priority)"
            }
            .sorted()
        }
        #expect(try await lanes("default") == ["default -2", "default 5"])
        #expect(try await lanes("*") == ["default -2", "default 5", "mail 1"])
        #expect(try await lanes("mail", "other") == ["mail 1"])
    }
}
