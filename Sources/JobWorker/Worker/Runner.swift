import Logging
import Postgres

/// Runs one attempt of a job, from its claim to its stored outcome.
struct Runner: Sendable {
    let processors: ProcessorRegistry
    let running: RunningJobs
    let completer: Completer
    let store: JobStore
    let state: WorkerState
    let retry: RetryPolicy
    let logger: Logger

    /// Returns when the outcome is stored and the run's slot is free.
    func run(_ claimed: ClaimedJob) async {
        let claim = claimed.claim
        let logger = self.logger(of: claimed)
        logger.debug("job started")
        let end = await process(claimed, logger: logger)
        let reason = running.settle(claim)
        let outcome = outcome(of: end, reason: reason, claimed: claimed)
        await store(outcome, of: claimed, reason: reason, logger: logger)
        // A processor that doesn't react keeps its slot: what it uses up is still in use.
        if case .abandoned = end, !state.isDraining { await running.waitUntilTaskEnds(claim) }
        running.remove(claim)
    }

    private func logger(of claimed: ClaimedJob) -> Logger {
        var logger = logger
        logger[metadataKey: "JOB_ID"] = "\(claimed.job.id.text)"
        logger[metadataKey: "JOB_TYPE"] = "\(claimed.job.type)"
        logger[metadataKey: "JOB_QUEUE"] = "\(claimed.job.queue)"
        logger[metadataKey: "WORKSPACE_ID"] = "\(claimed.job.workspaceID.text)"
        logger[metadataKey: "ATTEMPT"] = "\(claimed.job.attempt)"
        return logger
    }

    // MARK: Processing

    private func process(_ claimed: ClaimedJob, logger: Logger) async -> ProcessorEnd {
        let (job, claim) = (claimed.job, claimed.claim)
        if let refusal = claimed.refusal { return .threw(JobFailure.permanent(refusal)) }
        guard let processor = processors[job.type] else {
            return .threw(JobFailure.permanent("This worker has no processor for jobs of the type '\(job.type)'"))
        }
        let running = running
        let context = JobContext(
            deadline: running.deadline(of: claim) ?? .now, logger: logger,
            reporter: AttemptReporter(claim: claim, store: store) { running.stop([claim], because: .lost) })
        let task = Task {
            do {
                running.end(claim, .returned(try await processor.process(job, context: context)))
            } catch {
                running.end(claim, .threw(error))
            }
        }
        running.attach(task, to: claim)
        return await running.awaitEnd(of: claim)
    }

    // MARK: Judging

    /// What is to be stored; a processor that succeeded in spite of being told to stop has succeeded.
    private func outcome(of end: ProcessorEnd, reason: StopReason?, claimed: ClaimedJob) -> Outcome {
        switch (reason, end) {
        case (.cancelled, _), (.lost, _): .ended
        case (_, .returned(let result?)) where result.text.utf8.count > Runner.resultLimit:
            .settled(settlement(.permanent(Runner.tooLong(result)), of: claimed))
        case (_, .returned(let result)): .completed(result)
        case (.draining, _):
            .settled(Settlement(claim: claimed.claim, kind: .release, message: "the worker is stopping"))
        case (.unconfirmed, _):
            .settled(
                Settlement(
                    claim: claimed.claim, kind: .release,
                    message: "the worker could not tell the database in time that it was still at work"))
        case (.timedOut, _):
            .settled(settlement(.retryable(timeoutMessage(of: claimed)), of: claimed))
        case (nil, .threw(let error)):
            .settled(settlement(FailureReport(error).failure, of: claimed, causes: FailureReport(error).causes))
        case (nil, .abandoned):
            .settled(settlement(.retryable("The processor did not end"), of: claimed))
        }
    }

    /// Most bytes of a result: what is returned is held in memory and sent in one piece with others.
    private static let resultLimit = 8 << 20

    private static func tooLong(_ result: JSONText) -> String {
        "The job ran, but its result has \(result.text.utf8.count) bytes, more than the \(resultLimit) that are "
            + "stored; store the data elsewhere and return a reference"
    }

    private func timeoutMessage(of claimed: ClaimedJob) -> String {
        let limit = claimed.job.timeout ?? state.jobTimeout
        return "Timed out: attempt \(claimed.job.attempt) ran longer than \(limit.inWords)"
    }

    private func settlement(_ failure: JobFailure, of claimed: ClaimedJob, causes: [String] = []) -> Settlement {
        let delay = retry.delay(after: claimed.job.attempt, random: .random(in: 0..<1))
        let lines = failure.causes + causes
        let stack = lines.isEmpty ? nil : lines.joined(separator: "\n").cut(to: FailureReport.stackLimit)
        let message = failure.message.cut(to: FailureReport.messageLimit)
        switch failure.kind {
        case .permanent:
            return Settlement(claim: claimed.claim, kind: .fail, message: message, stack: stack)
        case .retryable:
            return Settlement(claim: claimed.claim, kind: .retry, message: message, stack: stack, delay: delay)
        case .snooze(let wait):
            let kept = min(max(wait, .seconds(1)), .seconds(3600))
            return Settlement(
                claim: claimed.claim, kind: .snooze, message: message, stack: stack, delay: kept, retryDelay: delay)
        }
    }

    // MARK: Storing

    private func store(_ outcome: Outcome, of claimed: ClaimedJob, reason: StopReason?, logger: Logger) async {
        let stored: Stored
        if reason == .lost {
            // Nothing may be written, not even that the run has ended.
            stored = .fenced
        } else {
            stored = await completer.store(outcome, of: claimed.claim)
        }
        let message: Logger.Metadata.Value =
            if case .settled(let settlement) = outcome { "\(settlement.message)" } else { "" }
        switch stored {
        case .completed:
            state.count { $0.completed += 1 }
            logger.debug("job completed")
        case .retried:
            state.count { $0.retried += 1 }
            logger.warning("job failed, will retry", metadata: ["ERROR": message])
        case .failed:
            state.count { $0.failed += 1 }
            logger.error("job failed", metadata: ["ERROR": message])
        case .snoozed:
            state.count { $0.snoozed += 1 }
            logger.info("job waits", metadata: ["REASON": message])
        case .released:
            state.count { $0.released += 1 }
            logger.notice("job given back", metadata: ["REASON": message])
        case .ended:
            state.count { $0.cancelled += 1 }
            logger.info("job cancelled")
        case .fenced:
            state.count { $0.fenced += 1 }
            logger.warning("claim lost: the job was taken back, deleted or settled by another run; nothing was written")
        case .unknown:
            logger.warning(
                "the database did not take the outcome before the worker stopped; the job will be taken back")
        }
    }
}

extension Duration {
    /// As `15 min`, `1.5 s`.
    var inWords: String {
        let seconds = self.seconds
        if seconds >= 120, seconds.truncatingRemainder(dividingBy: 60) == 0 { return "\(Int(seconds / 60)) min" }
        return seconds == seconds.rounded() ? "\(Int(seconds)) s" : "\(seconds) s"
    }
}
