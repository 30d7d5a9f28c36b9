/// How an attempt ended, as it is to be stored.
enum Outcome: Sendable {
    case completed(JSONText?)
    /// Beside the others it is large, and rare.
    indirect case settled(Settlement)
    /// Cancelled: only the run's end is to be recorded.
    case ended
}

extension Outcome {
    /// Longest result: it is held in memory and sent in one piece with others.
    private static let resultBytesMax = 8 << 20

    private static func tooLong(_ result: JSONText) -> String {
        "The job ran, but its result has \(result.text.utf8.count) bytes, more than the \(resultBytesMax) that are stored; "
            + "store the data elsewhere and return a reference"
    }

    /// What the end of a run means.
    ///
    /// A processor that succeeded in spite of being told to stop has succeeded; but a cancelled job stays cancelled,
    /// and after a lost claim nothing may be written, not even that the run has ended.
    /// - Parameters:
    ///   - reason: Why the run was stopped, if it was.
    ///   - timeLimit: Longest time for an attempt, where its job says nothing else.
    ///   - random: In 0..<1, for the jitter of the delay.
    init?(
        of claimed: ClaimedJob, end: ProcessorEnd, stoppedBecause reason: StopReason?, timeLimit: Duration,
        retry: RetryPolicy, random: @autoclosure () -> Double
    ) {
        func settlement(_ failure: JobFailure, causes: [String] = []) -> Settlement {
            let delay = retry.delay(after: claimed.job.attempt, random: random())
            return Settlement(claim: claimed.claim, failure: failure, causes: causes, retryDelay: delay)
        }
        switch (reason, end) {
        case (.lost, _):
            return nil
        case (.cancelled, _):
            self = .ended
        case (_, .returned(let result?)) where result.text.utf8.count > Outcome.resultBytesMax:
            self = .settled(settlement(.permanent(Outcome.tooLong(result))))
        case (_, .returned(let result)):
            self = .completed(result)
        case (.draining, _):
            self = .settled(Settlement(claim: claimed.claim, kind: .release, message: "the worker is stopping"))
        case (.unconfirmed, _):
            self = .settled(
                Settlement(
                    claim: claimed.claim, kind: .release,
                    message: "the worker could not tell the database in time that it was still at work"))
        case (.timedOut, _):
            let limit = (claimed.job.timeout ?? timeLimit).inWords
            self = .settled(
                settlement(
                    .retryable("\(JobFailure.timeoutStart) attempt \(claimed.job.attempt) ran longer than \(limit)")))
        case (nil, .threw(let error)):
            let report = FailureReport(error)
            self = .settled(settlement(report.failure, causes: report.causes))
        case (nil, .abandoned):
            self = .settled(settlement(.retryable("The processor did not end")))
        }
    }
}

extension Settlement {
    /// - Parameter retryDelay: The policy's delay after this attempt.
    fileprivate init(claim: Claim, failure: JobFailure, causes: [String], retryDelay: Duration) {
        let lines = failure.causes + causes
        let stack = lines.isEmpty ? nil : lines.joined(separator: "\n").cut(to: FailureReport.stackLimit)
        let message = failure.message.cut(to: FailureReport.messageLimit)
        switch failure.kind {
        case .permanent:
            self.init(claim: claim, kind: .fail, message: message, stack: stack)
        case .retryable:
            self.init(claim: claim, kind: .retry, message: message, stack: stack, delay: retryDelay)
        case .snooze(let wait):
            let kept = min(max(wait, .seconds(1)), .seconds(3600))
            self.init(
                claim: claim, kind: .snooze, message: message, stack: stack, delay: kept, retryDelay: retryDelay)
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
