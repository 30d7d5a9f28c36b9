import JobWorker

/// Something that keeps a worker from being healthy.
struct Finding: Sendable, Hashable {
    let status: HealthReport.Status
    let sentence: String

    init(_ status: HealthReport.Status, _ sentence: String) {
        self.status = status
        self.sentence = sentence
    }

    /// Everything that is wrong.
    static func all(of worker: WorkerObservation, instant: ContinuousClock.Instant, quotesErrors: Bool) -> [Finding] {
        [phase(of: worker, quotesErrors: quotesErrors)].compactMap { $0 }
            + connection(of: worker, instant: instant, quotesErrors: quotesErrors)
            + loops(of: worker, instant: instant)
            + worker.snapshot.unservedTypes.sorted { $0.key < $1.key }.map { type, reason in
                Finding(.degraded, "Jobs of the type \(type) are not served: \(reason)".withFullStop)
            }
            + alerts(of: worker)
    }

    /// Those of all workers together, by their rules alone: what they are about is for operators.
    private static func alerts(of worker: WorkerObservation) -> [Finding] {
        let rules = worker.snapshot.openAlerts
        guard !rules.isEmpty else { return [] }
        return [
            Finding(.degraded, "Alerts are open (\(rules.joined(separator: ", "))): see 'jobworker alerts'.")
        ]
    }

    private static func phase(of worker: WorkerObservation, quotesErrors: Bool) -> Finding? {
        switch worker.snapshot.phase {
        case .connecting:
            Finding(.unhealthy, "The worker is not connected to the database yet" + cause(worker, quotesErrors))
        case .awaitingMigration:
            Finding(.unhealthy, "The database's schema is missing or older than this program: run 'jobworker migrate'.")
        case .working: nil
        case .draining: Finding(.degraded, "The worker is stopping: it finishes its jobs and takes no others.")
        case .stopped: Finding(.unhealthy, "The worker has stopped.")
        }
    }

    private static func connection(
        of worker: WorkerObservation, instant: ContinuousClock.Instant, quotesErrors: Bool
    ) -> [Finding] {
        guard worker.hasBeenConnected else { return [] }
        guard worker.snapshot.isConnected else {
            let since = worker.snapshot.disconnectedSince
            let age = since.map { instant - $0 } ?? .zero
            let status = age < worker.configuration.staleAfter ? HealthReport.Status.degraded : .unhealthy
            let span = since == nil ? "" : " for \(max(0, age.components.seconds)) s"
            return [Finding(status, "The database has been out of reach\(span)" + cause(worker, quotesErrors))]
        }
        // A worker that takes no jobs needs no news of them.
        guard !worker.snapshot.isListening, worker.snapshot.phase == .working else { return [] }
        return [Finding(.degraded, "LISTEN is down: new jobs are found by polling only.")]
    }

    private static func loops(of worker: WorkerObservation, instant: ContinuousClock.Instant) -> [Finding] {
        var findings = worker.stuckLoops.map { Finding(.unhealthy, "The \($0.rawValue) has not moved for too long.") }
        if !worker.stuckLoops.contains(.poller), let age = worker.overduePoll(instant: instant) {
            findings.append(
                Finding(.unhealthy, "The poller has not looked at the queue for \(age.components.seconds) s."))
        }
        return findings
    }

    private static func cause(_ worker: WorkerObservation, _ quotesErrors: Bool) -> String {
        guard quotesErrors, let error = worker.snapshot.databaseError else { return "." }
        return ": \(error)".withFullStop
    }
}

extension WorkerObservation {
    /// Whether the start is over, so that a missing connection is a lost one.
    var hasBeenConnected: Bool {
        switch snapshot.phase {
        case .connecting, .awaitingMigration, .stopped: false
        case .working, .draining: true
        }
    }

    /// How long ago the last poll was, if that is too long; `nil` as well while no poll can be expected.
    fileprivate func overduePoll(instant: ContinuousClock.Instant) -> Duration? {
        guard snapshot.phase == .working, snapshot.isConnected, let polled = snapshot.lastPollInstant else {
            return nil
        }
        // After an outage the poller comes back when its pause ends, which is no fault of it.
        let reference = max(polled, snapshot.undisturbedSince ?? polled)
        // With a very short interval, one slow answer of the database is no standstill.
        let limit = max(configuration.pollInterval * 3, .seconds(3))
        return instant - reference > limit ? instant - polled : nil
    }
}

extension String {
    fileprivate var withFullStop: String { hasSuffix(".") ? self : self + "." }
}
