public import FoundationEssentials
public import JobWorker
import Logging
import Postgres
import Synchronization

/// One attempt of a processor, run without a worker and without a database, and all that it told.
///
///     let run = await ProcessorRun.of(CountWords(), payload: #"{"text": "one two"}"#)
///     #expect(try run.result(as: [String: Int].self) == ["words": 2])
///     #expect(run.progress.map(\.percentage) == [50])
public struct ProcessorRun: Sendable {
    /// What a worker would have made of it.
    public enum Outcome: Sendable {
        case completed(JSONText?)
        /// `kind` says whether it would have been tried again.
        case failed(JobFailure)
        /// Over its time: tried again while attempts are left.
        case timedOut
    }

    public let outcome: Outcome
    /// In the order in which they were told.
    public let progress: [JobProgress]
    public let logs: [JobLogEntry]
    /// What it added, which nobody runs.
    public let enqueued: [LinkedJob]

    /// Runs an attempt.
    /// - Parameters:
    ///   - processor: Whose attempt it is.
    ///   - payload: JSON.
    ///   - jobType: One of the processor's; `nil` for its first.
    ///   - attempt: Its number, the first being 1.
    ///   - workspace: Whose job it is; made up where it doesn't matter.
    ///   - timeout: After it the attempt's task is cancelled, as by a worker; `nil` for that of the processor's terms, else a
    ///     minute.
    public static func of(
        _ processor: any JobProcessor, payload: String = "{}", jobType: String? = nil, attempt: Int = 1,
        workspace: UUID = UUID(), timeout: Duration? = nil
    ) async -> ProcessorRun {
        let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1e6))
        let job = Job(
            id: UUID(), workspaceID: workspace, type: jobType ?? processor.jobTypes.first ?? "",
            payload: JSONText(payload), attempt: attempt, createdAt: now, dueAt: now, startedAt: now)
        return await of(processor, job: job, timeout: timeout)
    }

    /// Runs an attempt of a job that the caller made up.
    public static func of(_ processor: any JobProcessor, job: Job, timeout: Duration? = nil) async -> ProcessorRun {
        let record = Record()
        let outcome = await attempt(
            processor, job: job, limit: timeout ?? processor.terms.timeout ?? .seconds(60), record)
        return record.told.withLock {
            ProcessorRun(outcome: outcome, progress: $0.progress, logs: $0.logs, enqueued: $0.enqueued)
        }
    }

    /// The result as a value.
    /// - Throws: The failure, where the attempt failed; `DecodingError`, where the result is something else.
    public func result<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
        switch outcome {
        case .completed(let result?): return try result.decode(type)
        case .completed(nil): throw JobFailure.permanent("The attempt was completed without a result")
        case .failed(let failure): throw failure
        case .timedOut: throw JobFailure.retryable("The attempt was over its time")
        }
    }

    /// Why it failed; `nil` where it didn't.
    public var failure: JobFailure? { if case .failed(let failure) = outcome { failure } else { nil } }

    private static func attempt(
        _ processor: any JobProcessor, job: Job, limit: Duration, _ record: Record
    ) async -> Outcome {
        let context = JobContext(
            deadline: .now + limit, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            reporter: record)
        let isOver = Mutex(false)
        let work = Task { try await processor.process(job, context: context) }
        let timer = Task {
            try await Task.sleep(for: limit)
            isOver.withLock { $0 = true }
            work.cancel()
        }
        // Whoever cancels the test stops the attempt as well.
        let ended = await withTaskCancellationHandler {
            await work.result
        } onCancel: {
            work.cancel()
        }
        timer.cancel()
        switch ended {
        case .success(let result): return .completed(result)
        case .failure where isOver.withLock({ $0 }): return .timedOut
        case .failure(let error): return .failed(JobFailure.following(error))
        }
    }

    /// Keeps what an attempt tells.
    private final class Record: JobReporter {
        let told = Mutex((progress: [JobProgress](), logs: [JobLogEntry](), enqueued: [LinkedJob]()))

        func report(_ progress: JobProgress) async throws { told.withLock { $0.progress.append(progress) } }

        func log(_ entry: JobLogEntry) async throws { told.withLock { $0.logs.append(entry) } }

        func enqueue(_ jobs: [LinkedJob]) async throws -> [UUID] {
            told.withLock { $0.enqueued += jobs }
            return jobs.map { _ in UUID() }
        }
    }
}
