import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct CompleteTests {
    let database = TestDatabase.current

    private var store: JobStore { database.store() }

    @Test func `a completion stores the result, and clears what failed before`() async throws {
        let id = try await database.insertJob(
            status: .processing, workerDeaths: 1, snoozedFor: .seconds(60), errorMessage: "earlier")
        try await database.query(
            "UPDATE public.jobs SET progress = '{\"processed\": 7, \"percentage\": 70}' WHERE id = \(id)")
        let claim = try await database.claim(of: id)
        #expect(try await store.complete([(claim, JSONText("{\"credits\": 1}"))]) == [claim])
        let row = try await database.job(id)
        #expect(row.status == "completed" && row.result == "{\"credits\": 1}" && row.completedAt != nil)
        #expect(row.progress == "{\"processed\": 7, \"percentage\": 100}" && row.errorMessage == nil)
        #expect(!row.leaseIsOpen && row.workerDeaths == 0 && row.snoozedSince == nil && row.failedAt == nil)
        // The token stays, so that a repeated write is recognised.
        #expect(row.leaseToken == claim.token)
    }

    @Test func `a job without a result has none`() async throws {
        let id = try await database.insertJob(status: .processing)
        _ = try await store.complete([(try await database.claim(of: id), nil)])
        #expect(try await database.job(id).result == nil)
    }

    @Test func `the same completion sent twice is recognised, and written once`() async throws {
        let claim = try await database.claim(of: try await database.insertJob(status: .processing))
        for _ in 0..<2 { #expect(try await store.complete([(claim, JSONText("1"))]) == [claim]) }
        #expect(try await database.logs(of: claim.jobID).count == 1)
    }

    @Test func `a stale token completes nothing`() async throws {
        let id = try await database.insertJob(status: .processing)
        let claim = try await database.claim(of: id)
        let stale = Claim(jobID: id, token: claim.token - 1)
        #expect(try await store.complete([(stale, JSONText("1"))]) == [])
        let row = try await database.job(id)
        #expect(row.status == "processing" && row.result == nil && row.leaseIsOpen)
        #expect(try await database.logs(of: id).isEmpty)
    }

    @Test(arguments: [JobStatus.cancelled, .failed, .pending]) func `what has ended otherwise isn't completed any more`(
        status: JobStatus
    ) async throws {
        let id = try await database.insertJob(status: status, isLeased: true)
        #expect(try await store.complete([(try await database.claim(of: id), JSONText("1"))]) == [])
        #expect(try await database.job(id).status == status.rawValue)
    }

    @Test func `of a batch each job gets its own result, lost ones are left out`() async throws {
        var claims: [Claim] = []
        for _ in 0..<5 {
            claims.append(try await database.claim(of: try await database.insertJob(status: .processing)))
        }
        let lost = Claim(jobID: claims[4].jobID, token: claims[4].token + 1000)
        let batch = claims[..<4].enumerated().map { ($1, JSONText("\($0)") as JSONText?) } + [(lost, JSONText("9"))]
        #expect(try await store.complete(batch) == Set(claims[..<4]))
        for (number, claim) in claims[..<4].enumerated() {
            #expect(try await database.job(claim.jobID).result == "\(number)")
        }
        #expect(try await database.job(lost.jobID).status == "processing")
    }

    @Test func `one result the database can't hold refuses the batch, and nothing of it is stored`() async throws {
        let good = try await database.claim(of: try await database.insertJob(status: .processing))
        let bad = try await database.claim(of: try await database.insertJob(status: .processing))
        let refusal = try await TestDatabase.refusal {
            try await store.complete([(good, JSONText("1")), (bad, JSONText("\"\\u0000\""))])
        }
        #expect(refusal == "22P05")
        #expect(try await database.count("status = 'processing'") == 2)
    }

    @Test func `the end of a cancelled run is noted, so that the job may start anew`() async throws {
        let cancelled = try await database.insertJob(status: .cancelled, isLeased: true)
        let running = try await database.insertJob(status: .processing)
        let other = try await database.insertJob(status: .cancelled, isLeased: true)
        let stale = Claim(jobID: other, token: try await database.claim(of: other).token - 1)
        try await store.endRuns([try await database.claim(of: cancelled), try await database.claim(of: running), stale])
        #expect(try await database.job(cancelled).leaseIsOpen == false)
        #expect(try await database.job(running).leaseIsOpen)
        #expect(try await database.job(other).leaseIsOpen)
    }

    @Test func `progress and log rows need the claim`() async throws {
        let id = try await database.insertJob(status: .processing, heartbeatAge: .seconds(100))
        let claim = try await database.claim(of: id)
        let stale = Claim(jobID: id, token: claim.token - 1)
        let before = try await database.job(id).heartbeatAt
        #expect(try await store.setProgress(stale, JSONText("{\"percentage\": 1}")) == .lost)
        #expect(try await store.addLog(stale, level: .warn, message: "no", metadata: nil) == .lost)
        #expect(try await database.job(id).progress == "{}")
        #expect(try await store.setProgress(claim, JSONText("{\"percentage\": 50}")) == .held)
        #expect(
            try await store.addLog(claim, level: .warn, message: "slow", metadata: JSONText("{\"ms\": 7}")) == .held)
        let row = try await database.job(id)
        #expect(row.progress == "{\"percentage\": 50}")
        // Also a sign of life.
        #expect(try #require(row.heartbeatAt) > #require(before))
        #expect(try await database.logs(of: id) == [JobLogRow(level: "warn", message: "slow", metadata: ["ms": 7])])
    }

    @Test func `progress and log rows tell a run that its job was cancelled, not that its claim was lost`() async throws
    {
        let id = try await database.insertJob(status: .cancelled, isLeased: true)
        let claim = try await database.claim(of: id)
        #expect(try await store.setProgress(claim, JSONText("{\"percentage\": 50}")) == .cancelled)
        #expect(try await store.addLog(claim, level: .warn, message: "no", metadata: nil) == .cancelled)
        #expect(try await database.job(id).progress == "{}")
        #expect(try await database.logs(of: id).isEmpty)
        try await store.endRuns([claim])
        #expect(try await store.setProgress(claim, JSONText("{}")) == .lost)
    }
}
