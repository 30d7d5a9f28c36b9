import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct SettleTests {
    let database = TestDatabase.current

    private var store: JobStore { database.store() }

    /// Settles one job; `nil` when the claim wasn't ours.
    private func settle(
        _ id: UUID, _ kind: Settlement.Kind, _ message: String = "no luck", stack: String? = nil,
        delay: Duration = .zero, retryDelay: Duration = .seconds(60)
    ) async throws -> Verdict? {
        let claim = try await database.claim(of: id)
        let settlement = Settlement(
            claim: claim, kind: kind, message: message, stack: stack, delay: delay, retryDelay: retryDelay)
        return try await store.settle([settlement])[claim]
    }

    /// From the moment of the settlement, which is that of its log row, to the next attempt.
    private func wait(of id: UUID) async throws -> Double? {
        try await database.value(
            """
            SELECT extract(epoch FROM jobs.next_retry_at - max(job_logs.created_at))::float8
            FROM public.jobs JOIN public.job_logs ON job_logs.job_id = jobs.id
            WHERE jobs.id = \(id) GROUP BY jobs.id
            """)
    }

    @Test func `a job that fails waits 60, 120, 240 and 480 seconds by the database's clock, then it has failed`()
        async throws
    {
        let id = try await database.insertJob()
        for (attempt, seconds) in [(1, 60), (2, 120), (3, 240), (4, 480)] {
            #expect(try await store.claim(.test()).map(\.job.attempt) == [attempt])
            let delay = RetryPolicy().delay(after: attempt, random: 0.9)
            #expect(try await settle(id, .retry, "failure \(attempt)", stack: "cause", delay: delay) == .retried)
            #expect(try await wait(of: id) == Double(seconds))
            let row = try await database.job(id)
            #expect(row.status == "pending" && row.attempts == attempt && row.retryDelay == seconds && !row.leaseIsOpen)
            #expect(row.errorMessage == "failure \(attempt)" && row.errorStack == "cause" && row.failedAt == nil)
            #expect(try await store.claim(.test()).isEmpty)
            try await database.query("UPDATE public.jobs SET next_retry_at = now() WHERE id = \(id)")
        }
        #expect(try await store.claim(.test()).map(\.job.attempt) == [5])
        #expect(try await settle(id, .retry, "failure 5", delay: .seconds(960)) == .failed)
        let row = try await database.job(id)
        #expect(row.status == "failed" && row.attempts == 5 && row.nextRetryAt == nil)
        #expect(row.failedAt != nil && row.completedAt == row.failedAt && row.errorMessage == "failure 5")
        #expect(try await store.claim(.test()).isEmpty)

        let rows = try await database.logs(of: id).filter { $0.level != "debug" }
        #expect(rows.map(\.level) == ["warn", "warn", "warn", "warn", "error"])
        #expect(rows[0].message == "Attempt 1 of 5 failed, will be tried again in 60 s: failure 1")
        #expect(rows[4].message == "Failed on attempt 5 of 5: failure 5")
        #expect(rows[0].metadata?["attempt"] == 1 && rows[0].metadata?["next_retry_at"] != nil)
    }

    @Test func `a permanent failure fails at the first attempt`() async throws {
        let id = try await database.insertJob(status: .processing, workerDeaths: 1)
        #expect(try await settle(id, .fail, "the account is gone", stack: "a\nb") == .failed)
        let row = try await database.job(id)
        #expect(row.status == "failed" && row.attempts == 1 && row.errorStack == "a\nb" && row.workerDeaths == 0)
    }

    @Test func `a snooze gives the attempt back and waits exactly the time asked for`() async throws {
        let id = try await database.insertJob(status: .processing, attempts: 3)
        #expect(try await settle(id, .snooze, "Apollo asked to wait", delay: .seconds(37)) == .snoozed)
        #expect(try await wait(of: id) == 37)
        let row = try await database.job(id)
        #expect(row.status == "pending" && row.attempts == 2 && row.errorMessage == "Apollo asked to wait")
        #expect(row.snoozedSince != nil && row.failedAt == nil)
        #expect(
            try await database.logs(of: id).map { "\($0.level): \($0.message)" } == [
                "info: Waiting 37 s: Apollo asked to wait"
            ])
    }

    @Test func `further snoozes count from the first, and after a day they are failures`() async throws {
        let early = try await database.insertJob(status: .processing, snoozedFor: .seconds(86_000))
        let since = try await database.job(early).snoozedSince
        #expect(try await settle(early, .snooze, delay: .seconds(30)) == .snoozed)
        #expect(try await database.job(early).snoozedSince == since)

        let late = try await database.insertJob(status: .processing, attempts: 2, snoozedFor: .seconds(86_401))
        #expect(try await settle(late, .snooze, delay: .seconds(30), retryDelay: .seconds(120)) == .retried)
        #expect(try await wait(of: late) == 120)
        let row = try await database.job(late)
        #expect(row.attempts == 2 && row.snoozedSince == nil && row.retryDelay == 120)

        let last = try await database.insertJob(status: .processing, attempts: 5, snoozedFor: .seconds(86_401))
        #expect(try await settle(last, .snooze, delay: .seconds(30)) == .failed)
    }

    @Test func `a release gives the attempt back, keeps the last error, and wakes another worker`() async throws {
        let id = try await database.insertJob(
            status: .processing, queue: "mail", attempts: 2, workerDeaths: 1, snoozedFor: .seconds(10),
            errorMessage: "earlier")
        let worker = try await WaitingWorker(in: database)
        #expect(try await settle(id, .release, "the worker stops") == .released)
        let row = try await database.job(id)
        #expect(row.status == "pending" && row.attempts == 1 && row.nextRetryAt == nil && !row.leaseIsOpen)
        #expect(row.errorMessage == "earlier" && row.workerDeaths == 1 && row.snoozedSince != nil)
        #expect(try await worker.heard() == ["mail"])
        #expect(try await store.claim(.test(queues: [("mail", 1)])).map(\.job.id) == [id])
    }

    @Test(arguments: [Settlement.Kind.retry, .fail, .snooze, .release])
    func `a stale token settles nothing; a settlement sent twice is recognised, and changes nothing more`(
        kind: Settlement.Kind
    ) async throws {
        let id = try await database.insertJob(status: .processing, attempts: 2)
        let claim = try await database.claim(of: id)
        let stale = Claim(jobID: id, token: claim.token - 1)
        #expect(try await store.settle([Settlement(claim: stale, kind: kind, message: "zombie")]).isEmpty)
        #expect(try await database.job(id).status == "processing")
        let verdict = try await settle(id, kind, delay: .seconds(60))
        #expect(verdict != nil)
        let once = try await database.job(id)
        #expect(try await settle(id, kind, delay: .seconds(60)) == verdict)
        let twice = try await database.job(id)
        #expect(twice.attempts == once.attempts && twice.nextRetryAt == once.nextRetryAt)
        #expect(try await database.logs(of: id).count == 1)
    }

    @Test(arguments: [Settlement.Kind.retry, .fail, .snooze, .release], [1, 5])
    func `what was taken back is not taken for settled by its own claim`(
        kind: Settlement.Kind, attempts: Int
    ) async throws {
        let id = try await database.insertJob(status: .processing, attempts: attempts, heartbeatAge: .seconds(121))
        #expect(try await store.reap(.test()) == 1)
        #expect(try await settle(id, kind) == nil)
    }

    @Test func `a batch of every kind is settled in one statement`() async throws {
        var settlements: [Settlement] = []
        for kind in [Settlement.Kind.retry, .fail, .snooze, .release] {
            let id = try await database.insertJob(status: .processing)
            settlements.append(
                Settlement(
                    claim: try await database.claim(of: id), kind: kind, message: kind.rawValue, delay: .seconds(60)))
        }
        let verdicts = try await store.settle(settlements)
        #expect(settlements.map { verdicts[$0.claim] } == [.retried, .failed, .snoozed, .released])
    }
}
