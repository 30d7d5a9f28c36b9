import Logging
import Postgres
import Synchronization

/// Looks for what administrators are to be alerted to, and says where something was completed.
///
/// Each timer's look tells whether nobody has looked for the time between two looks; the first worker that hears it
/// looks for all. Asks nothing by itself: where no worker polls, nobody is alerted.
final class Alarm: Sendable {
    private struct State {
        var isLookDue = false
        var nextNote = ContinuousClock.now
    }

    /// Between two notes about what was completed. A good deal less than the shortest alert about it takes.
    private static let noteInterval = Duration.seconds(10)

    private let store: JobStore
    private let worker: WorkerState
    private let logger: Logger
    private let configuration: @Sendable () -> WorkerConfiguration
    private let wakeup = Wakeup()
    private let state = Mutex(State())

    init(
        store: JobStore, state: WorkerState, logger: Logger,
        configuration: @escaping @Sendable () -> WorkerConfiguration
    ) {
        self.store = store
        worker = state
        self.logger = logger
        self.configuration = configuration
    }

    func stop() { wakeup.close() }

    /// What the timer's look found.
    func hear(isLookDue: Bool) {
        state.withLock { $0.isLookDue = isLookDue }
        wakeup.raise()
    }

    /// Until `stop()` or the task's cancellation.
    func run() async {
        var hasRefused = false
        while !wakeup.isClosed, !Task.isCancelled {
            await wakeup.wait(until: .now + .seconds(86_400))
            guard !wakeup.isClosed, !Task.isCancelled else { break }
            do throws(PostgresError) {
                try await note()
                try await look()
                hasRefused = false
            } catch {
                // Polls tell of outages; the next one says again that it is time to look.
                if Task.isCancelled || error.isTransient { continue }
                if !hasRefused { logger.log(.upkeepFailed, metadata: ["ERROR": "\(error)"]) }
                hasRefused = true
            }
        }
    }

    private func note() async throws(PostgresError) {
        let isTime = state.withLock { state in
            guard state.nextNote <= .now else { return false }
            state.nextNote = .now + Alarm.noteInterval
            return true
        }
        guard isTime else { return }
        let queues = worker.metrics.takeCompletedQueues()
        if !queues.isEmpty { try await store.noteProgress(in: queues) }
    }

    private func look() async throws(PostgresError) {
        let isDue = state.withLock { state in
            defer { state.isLookDue = false }
            return state.isLookDue
        }
        guard isDue else { return }
        let configuration = configuration()
        // Workers that poll seldom are heard of seldom.
        let silence = max(configuration.staleAfter, configuration.pollInterval * 3)
        let changes = try await store.lookForAlerts(
            configuration.alerts, silence: silence, workerID: configuration.workerID)
        for change in changes ?? [] {
            let alert = change.alert
            worker.metrics.alerted(alert.rule, change.isResolved ? "resolved" : "raised")
            logger.log(
                change.isResolved ? .alertResolved : .alertRaised,
                metadata: [
                    "ALERT_ID": "\(alert.id.text)", "RULE": "\(alert.rule)", "SUBJECT": "\(alert.subject)",
                    "FINDING": "\(alert.message)",
                ])
        }
    }
}
