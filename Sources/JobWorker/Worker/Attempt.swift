import Logging
import Postgres

/// One run of a job, from its claim to its stored outcome.
///
/// The task of `run` waits; a second one does the work, as nobody may have to wait for a processor that doesn't end.
/// Whoever ends the run, mostly that second task, hands its outcome to the completer, and the first goes on once it is
/// stored: a job costs two changes of tasks.
///
/// An object: what its tasks and closures share is one reference.
final class Attempt: Sendable {
    /// What the attempts of a process have in common.
    final class Environment: Sendable {
        let processors: ProcessorRegistry
        let running: RunningJobs
        let completer: Completer
        let intake: Intake
        let store: JobStore
        let state: WorkerState
        let retry: RetryPolicy
        let logger: Logger
        /// Whether the facts of a job are put together once a line is written.
        let logsLazily: Bool

        init(
            processors: ProcessorRegistry, running: RunningJobs, completer: Completer, intake: Intake, store: JobStore,
            state: WorkerState, retry: RetryPolicy, logger: Logger, logsLazily: Bool
        ) {
            self.processors = processors
            self.running = running
            self.completer = completer
            self.intake = intake
            self.store = store
            self.state = state
            self.retry = retry
            self.logger = logger
            self.logsLazily = logsLazily
        }
    }

    private let claimed: ClaimedJob
    private let environment: Environment
    private let logger: Logger
    private let began = ContinuousClock.now

    init(_ claimed: ClaimedJob, _ environment: Environment) {
        self.claimed = claimed
        self.environment = environment
        logger = environment.logger.of(claimed.job, lazily: environment.logsLazily)
    }

    private var job: Job { claimed.job }
    private var claim: Claim { claimed.claim }

    /// Returns when the outcome is stored and the run's slot is free.
    func run() async {
        logger.log(.jobStarted)
        environment.state.metrics.started(job)
        let ending = await end()
        tell(ending)
        // Its slot was freed with the commit.
        if ending.stored == .completed { return }
        // A processor that doesn't react keeps its slot: what it uses up is still in use.
        await environment.running.waitUntilTaskEnds(claim)
        environment.running.remove([claim])
        environment.intake.slotsFreed()
    }

    // MARK: Processing

    /// Has it processed, and the outcome stored.
    private func end() async -> Ending {
        let processor: any JobProcessor, deadline: ContinuousClock.Instant, payload: JSONText?
        do {
            (processor, deadline) = try prepare()
            payload = try await payloadWithResults()
        } catch {
            return await withCheckedContinuation { store(.threw(error), $0) }
        }
        let task = Task { await process(by: processor, payload: payload, until: deadline) }
        return await withCheckedContinuation { ended in
            environment.running.attach(task, to: claim, AwaitingAttempt(attempt: self, continuation: ended))
        }
    }

    private func prepare() throws -> (any JobProcessor, deadline: ContinuousClock.Instant) {
        if let refusal = claimed.refusal { throw JobFailure.permanent(refusal) }
        guard let deadline = environment.running.deadline(of: claim) else { throw CancellationError() }
        guard let processor = environment.processors[job.type] else {
            throw JobFailure.permanent("This worker has no processor for jobs of the type '\(job.type)'")
        }
        return (processor, deadline)
    }

    /// - Parameter payload: Where it isn't the job's own.
    private func process(
        by processor: any JobProcessor, payload: JSONText?, until deadline: ContinuousClock.Instant
    ) async {
        let end: ProcessorEnd
        do {
            let context = JobContext(
                deadline: deadline, logger: logger, lease: claim.token,
                reporter: AttemptReporter(claim: claim, store: environment.store, running: environment.running))
            let whole = payload.map { Job(job, payload: $0) } ?? job
            end = .returned(try await processor.process(whole, context: context))
        } catch {
            end = .threw(error)
        }
        environment.running.taskEnded(claim, end)
    }

    /// The payload, with the results of other jobs that it asks for; `nil` where it asks for none.
    private func payloadWithResults() async throws -> JSONText? {
        guard claimed.hasParents, ["\"$result\"", "\"$literal\""].contains(where: job.payload.text.contains) else {
            return nil
        }
        let payload = try await environment.store.payloadWithResults(of: claim)
        let bytes = payload.text.utf8.count
        guard bytes <= JobStore.payloadBytesMax else {
            throw JobFailure.permanent(
                "With the results that it asks for the payload has \(bytes) bytes, more than the worker accepts; "
                    + "let those jobs store their data elsewhere and return a reference")
        }
        return payload
    }

    // MARK: Storing

    /// By the task that ends the run: what comes of it doesn't wait for this one to be resumed.
    fileprivate func store(_ end: ProcessorEnd, _ ended: CheckedContinuation<Ending, Never>) {
        let outcome = Outcome(
            of: claimed, end: end, stoppedBecause: environment.running.settle(claim),
            timeLimit: environment.processors.served.timeouts[job.type] ?? environment.state.jobTimeout,
            retry: environment.retry, random: .random(in: 0..<1))
        if let outcome {
            environment.completer.store(outcome, of: claim, ended)
        } else {
            ended.resume(returning: Ending(outcome: nil, stored: .fenced))
        }
    }

    private func tell(_ ending: Ending) {
        let (state, stored) = (environment.state, ending.stored)
        let duration = ContinuousClock.now - began
        state.metrics.ended(job, as: stored, after: duration)
        state.tally.ended(job, as: stored, after: duration)
        var message: Logger.Metadata.Value {
            if case .settled(let settlement) = ending.outcome { "\(settlement.message)" } else { "" }
        }
        switch stored {
        case .completed:
            logger.log(.jobCompleted)
        case .retried:
            state.count { $0.retried += 1 }
            logger.log(.jobRetried, metadata: ["ERROR": message])
        case .failed:
            state.count { $0.failed += 1 }
            logger.log(.jobFailed, metadata: ["ERROR": message])
        case .snoozed:
            state.count { $0.snoozed += 1 }
            logger.log(.jobWaits, metadata: ["REASON": message])
        case .released:
            state.count { $0.released += 1 }
            logger.log(.jobReleased, metadata: ["REASON": message])
        case .ended:
            state.count { $0.cancelled += 1 }
            logger.log(.jobCancelled)
        case .fenced:
            state.count { $0.fenced += 1 }
            logger.log(.jobFenced)
        case .unknown:
            logger.log(.outcomeUnknown)
        }
    }
}

/// An attempt whose `run` waits for the end of its processor's task.
private struct AwaitingAttempt: ProcessorEndWaiter {
    let attempt: Attempt
    let continuation: CheckedContinuation<Ending, Never>

    func ended(_ end: ProcessorEnd) { attempt.store(end, continuation) }
}
