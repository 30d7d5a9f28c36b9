package import JobWorker
import Logging

/// What became of one attempt that ran without a worker.
package struct HandlerTrial: Sendable {
    package enum Outcome: Sendable {
        case completed(JSONText?)
        case failed(JobFailure)
        case timedOut(after: Duration)
    }

    package let outcome: Outcome
    package let took: Duration

    package var isCompleted: Bool { if case .completed = outcome { true } else { false } }

    /// Runs it with a time limit, as a worker does.
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
        switch await work.result {
        case .success(let result): outcome = .completed(result)
        case .failure(is CancellationError): outcome = .timedOut(after: limit)
        case .failure(let error): outcome = .failed(.following(error))
        }
        timer.cancel()
        _ = await timer.result
        return HandlerTrial(outcome: outcome, took: .now - began)
    }
}
