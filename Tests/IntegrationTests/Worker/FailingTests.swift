import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What becomes of attempts that don't succeed, as the row and its log tell it.
@Suite(.database()) struct FailingTests {
    let database = TestDatabase.current

    /// Runs one job of the type `test` until nothing is running.
    private func run(
        _ payload: String = "{}", timeout: Duration? = nil, maxAttempts: Int = 5,
        change: (inout WorkerConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (Job, JobContext) async throws -> JSONText?
    ) async throws -> UUID {
        let id = try await database.insertJob("test", payload: payload, maxAttempts: maxAttempts, timeout: timeout)
        try await database.withWorker(ScriptedProcessor("test", body: body), change: change) { _ in
            try await database.waitUntil("attempts > 0 AND status <> 'processing' OR error_message IS NOT NULL")
        }
        return id
    }

    @Test func `a failure waits a minute and is told to members`() async throws {
        let id = try await run { _, _ in throw JobFailure.retryable("the other side is down", causes: ["Timeout: 30 s"])
        }
        let job = try await database.job(id)
        #expect(job.status == "pending")
        #expect(job.attempts == 1)
        #expect(job.retryDelay == 60)
        #expect((55...60).contains(try #require(job.retryIn)))
        #expect(job.errorMessage == "the other side is down")
        #expect(job.errorStack == "Timeout: 30 s")
        let last = try #require(try await database.logs(of: id).last)
        #expect(last.level == "warn")
        #expect(last.message == "Attempt 1 of 5 failed, will be tried again in 60 s: the other side is down")
    }

    @Test func `a permanent failure is final at once`() async throws {
        let id = try await run { _, _ in throw JobFailure.permanent("no such account") }
        let job = try await database.job(id)
        #expect(job.status == "failed")
        #expect(job.attempts == 1)
        #expect(job.nextRetryAt == nil)
        #expect(job.failedAt != nil && job.completedAt != nil)
        #expect(try await database.logs(of: id).last?.level == "error")
    }

    @Test func `the last attempt's failure is final`() async throws {
        let id = try await run(maxAttempts: 1) { _, _ in throw JobFailure.retryable("again") }
        #expect(try await database.job(id).status == "failed")
    }

    struct Odd: Error, CustomStringConvertible { let description = "an odd thing happened" }

    @Test func `any other error is tried again, with its type in the trace`() async throws {
        let job = try await database.job(try await run { _, _ in throw Odd() })
        #expect(job.status == "pending")
        #expect(job.errorMessage == "an odd thing happened")
        #expect(job.errorStack == "Odd: an odd thing happened")
    }

    @Test func `the database's own refusals are final, its outages are not`() async throws {
        let database = database
        let refused = try await run { _, _ in
            try await database.pool.query("SELECT 1 / 0")
            return nil
        }
        #expect(try await database.job(refused).status == "failed")
        #expect(try await database.job(refused).errorMessage == "The database refused: division by zero")
        let lost = try await run { _, _ in
            throw PostgresError(.connectionLost, operation: "x", message: "gone")
        }
        #expect(try await database.job(lost).status == "pending")
    }

    @Test func `an attempt that lasts too long is stopped and tried again`() async throws {
        let stopped = Gate()
        let id = try await run(timeout: .seconds(1)) { _, _ in
            do {
                try await Task.sleep(for: .seconds(60))
            } catch {
                stopped.open()
                throw error
            }
            return nil
        }
        try await stopped.opened()
        let job = try await database.job(id)
        #expect(job.status == "pending")
        #expect(job.errorMessage == "Timed out: attempt 1 ran longer than 1 s")
    }

    @Test func `a processor that ignores its end is judged without it`() async throws {
        let end = Gate()
        defer { end.open() }
        let id = try await database.insertJob("test", timeout: .seconds(1))
        let deaf = ScriptedProcessor("test") { _, _ in
            await end.passed()
            return nil
        }
        try await database.withWorker(deaf, change: { $0.maxConcurrent = 1 }) { worker in
            try await database.waitUntil("error_message LIKE 'Timed out%'")
            // What it uses up is still in use: its slot is not given away.
            #expect(worker.runningCount == 1)
            end.open()
        }
        #expect(try await database.job(id).status == "pending")
    }

    @Test func `a snooze gives the attempt back and waits as long as asked`() async throws {
        let id = try await run { _, _ in throw JobFailure.snooze(for: .seconds(90), "Rate limit exceeded") }
        let job = try await database.job(id)
        #expect(job.status == "pending")
        #expect(job.attempts == 0)
        #expect((85...90).contains(try #require(job.retryIn)))
        #expect(job.errorMessage == "Rate limit exceeded")
        #expect(try await database.logs(of: id).last?.message == "Waiting 90 s: Rate limit exceeded")
    }

    @Test func `a result that is no JSON fails its job alone`() async throws {
        let id = try await run { _, _ in JSONText("{broken") }
        let job = try await database.job(id)
        #expect(job.status == "failed")
        #expect(job.errorMessage?.hasPrefix("The job ran, but its result can't be stored") == true)
    }

    @Test func `an error text that can't be stored doesn't keep the job running`() async throws {
        let job = try await database.job(try await run { _, _ in throw JobFailure.retryable("nul \u{0} inside") })
        #expect(job.status == "pending")
        #expect(job.errorMessage == "The attempt failed with an error whose text can't be stored; see the worker's log")
    }

    @Test func `a payload beyond the limit is not even read`() async throws {
        let id = try await run("{\"text\":\"\(String(repeating: "x", count: 2_000_000))\"}") { _, _ in
            Issue.record("it was run")
            return nil
        }
        let job = try await database.job(id)
        #expect(job.status == "failed")
        #expect(job.errorMessage?.contains("more than the worker accepts") == true)
    }
}
