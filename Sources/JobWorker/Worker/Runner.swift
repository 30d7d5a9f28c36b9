import Logging
import Postgres

/// Runs one attempt of a job, from its claim to its stored outcome.
struct Runner: Sendable {
    let processors: ProcessorRegistry
    let running: RunningJobs
    let completer: Completer
    let intake: Intake
    let store: JobStore
    let state: WorkerState
    let retry: RetryPolicy
    let logger: Logger

    /// Returns when the outcome is stored and the run's slot is free.
    func run(_ claimed: ClaimedJob) async {
        let claim = claimed.claim
        let logger = self.logger(of: claimed)
        logger.log(.jobStarted)
        let began = ContinuousClock.now
        state.metrics.started(claimed.job)
        let end = await process(claimed, logger: logger)
        let reason = running.settle(claim)
        let outcome = Outcome(
            of: claimed, end: end, stoppedBecause: reason,
            timeLimit: processors.served.timeouts[claimed.job.type] ?? state.jobTimeout, retry: retry,
            random: .random(in: 0..<1))
        let stored = await store(outcome, of: claimed, began: began, logger: logger)
        // Its slot was freed with the commit.
        if stored == .completed { return }
        // A processor that doesn't react keeps its slot: what it uses up is still in use.
        if case .abandoned = end { await running.waitUntilTaskEnds(claim) }
        running.remove([claim])
        intake.slotsFreed()
    }

    private func logger(of claimed: ClaimedJob) -> Logger {
        var logger = logger
        var metadata = logger.handler.metadata
        // Once for all, not as it grows.
        metadata.reserveCapacity(metadata.count + 5)
        metadata["JOB_ID"] = .string(claimed.job.id.text)
        metadata["JOB_TYPE"] = .string(claimed.job.type)
        metadata["JOB_QUEUE"] = .string(claimed.job.queue)
        metadata["WORKSPACE_ID"] = .string(claimed.job.workspaceID.text)
        metadata["ATTEMPT"] = .string(String(claimed.job.attempt))
        logger.handler.metadata = metadata
        return logger
    }

    // MARK: Processing

    private func process(_ claimed: ClaimedJob, logger: Logger) async -> ProcessorEnd {
        let (job, claim) = (claimed.job, claimed.claim)
        if let refusal = claimed.refusal { return .threw(JobFailure.permanent(refusal)) }
        guard let deadline = running.deadline(of: claim) else { return .threw(CancellationError()) }
        guard let processor = processors[job.type] else {
            return .threw(JobFailure.permanent("This worker has no processor for jobs of the type '\(job.type)'"))
        }
        let whole: Job
        do {
            whole = try await withResults(claimed)
        } catch {
            return .threw(error)
        }
        let running = running
        let context = JobContext(
            deadline: deadline, logger: logger, lease: claim.token,
            reporter: AttemptReporter(claim: claim, store: store) { running.stop([claim], because: $0) })
        let task = Task {
            do {
                running.taskEnded(claim, .returned(try await processor.process(whole, context: context)))
            } catch {
                running.taskEnded(claim, .threw(error))
            }
        }
        return await running.awaitEnd(of: task, for: claim)
    }

    /// The job, with the results of other jobs that its payload asks for.
    private func withResults(_ claimed: ClaimedJob) async throws -> Job {
        let job = claimed.job
        guard claimed.hasParents, ["\"$result\"", "\"$literal\""].contains(where: job.payload.text.contains) else {
            return job
        }
        let payload = try await store.payloadWithResults(of: claimed.claim)
        let bytes = payload.text.utf8.count
        guard bytes <= JobStore.payloadBytesMax else {
            throw JobFailure.permanent(
                "With the results that it asks for the payload has \(bytes) bytes, more than the worker accepts; "
                    + "let those jobs store their data elsewhere and return a reference")
        }
        return Job(job, payload: payload)
    }

    // MARK: Storing

    private func store(
        _ outcome: Outcome?, of claimed: ClaimedJob, began: ContinuousClock.Instant, logger: Logger
    ) async -> Stored {
        let stored: Stored =
            if let outcome { await completer.store(outcome, of: claimed.claim) } else { .fenced }
        let duration = ContinuousClock.now - began
        state.metrics.ended(claimed.job, as: stored, after: duration)
        state.tally.ended(claimed.job, as: stored, after: duration)
        let message: Logger.Metadata.Value =
            if case .settled(let settlement) = outcome { "\(settlement.message)" } else { "" }
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
        return stored
    }
}
