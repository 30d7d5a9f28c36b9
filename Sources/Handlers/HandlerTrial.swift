package import JobWorker
import Logging

/// What became of one attempt that ran without a worker.
package struct HandlerTrial: Sendable {
    package enum Outcome: Sendable {
        case completed(JSONText?)
        case failed(JobFailure)
        case timedOut(after: Duration)
        /// The caller's task was cancelled.
        case interrupted
    }

    package let outcome: Outcome
    package let took: Duration

    package var isCompleted: Bool { if case .completed = outcome { true } else { false } }

    /// Runs it with a time limit, as a worker does. Where the caller's task is cancelled, the attempt is, too; it is waited
    /// for in any case.
    package static func run(
        _ processor: any JobProcessor, _ job: Job, limit: Duration, reporter: any JobReporter
    ) async -> HandlerTrial {
        let began = ContinuousClock.now
        let context = JobContext(
            deadline: began + limit, logger: Logger(label: "handler", factory: { _ in SwiftLogNoOpLogHandler() }),
            reporter: reporter)
        let work = Task { try await processor.process(job, context: context) }
        let timer = Task {
            try await Task.sleep(for: limit)
            work.cancel()
        }
        let outcome: Outcome
        let result = await withTaskCancellationHandler {
            await work.result
        } onCancel: {
            work.cancel()
        }
        switch result {
        case .success(let result): outcome = .completed(result)
        case .failure(is CancellationError): outcome = Task.isCancelled ? .interrupted : .timedOut(after: limit)
        case .failure(let error): outcome = .failed(.following(error))
        }
        timer.cancel()
        _ = await timer.result
        return HandlerTrial(outcome: outcome, took: .now - began)
    }
}
