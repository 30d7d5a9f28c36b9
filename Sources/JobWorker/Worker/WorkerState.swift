package import Postgres
import Synchronization

/// What the worker does now, for health answers, STATUS and the watchdog. Written by its loops,
/// read by anyone.
package final class WorkerState: Sendable {
    /// How far the worker has come.
    package enum Phase: Sendable, Hashable {
        /// No connection yet, or one whose schema wasn't looked at.
        case connecting
        /// Connected, but `jobworker migrate` is missing.
        case awaitingMigration
        case working
        case draining
        case stopped
    }

    /// A loop that must keep turning.
    package enum Loop: String, Sendable, Hashable, CaseIterable {
        case poller, heartbeat, completer
    }

    package struct Counts: Sendable, Hashable {
        package var claimed = 0
        package var completed = 0
        package var retried = 0
        package var failed = 0
        package var snoozed = 0
        package var cancelled = 0
        package var released = 0
        package var fenced = 0
        package var reaped = 0

        package init() {}
    }

    package struct Snapshot: Sendable {
        package var phase = Phase.connecting
        /// By the database's clock.
        package var lastPollAt: Timestamp?
        package var isConnected = false
        package var isListening = false
        /// Round trip of the latest poll.
        package var databaseLatency: Duration?
        /// Since when the database can't be reached, by this process's clock; `nil` while it can.
        package var disconnectedSince: ContinuousClock.Instant?
        /// The latest error of the database, as a sentence.
        package var databaseError: String?
        /// Since when no poll or heartbeat has failed; `nil` before the first success.
        package var undisturbedSince: ContinuousClock.Instant?
        /// How long the server had been up at the latest poll, by its own clock.
        package var serverAge: Duration?
        /// Whether a poll or a heartbeat has failed since the start, after an earlier one had succeeded.
        package var hasLostDatabase = false
        /// The latest poll, by this process's clock.
        package var lastPollInstant: ContinuousClock.Instant?
        /// Longest time for an attempt, where its job says nothing else.
        package var jobTimeout = Duration.seconds(900)
        /// Types that are not served although configured, and why.
        package var unservedTypes: [String: String] = [:]
        package var counts = Counts()
        /// The rules by which alerts are open, as of the latest poll.
        package var openAlerts: [String] = []
    }

    private struct State {
        var snapshot = Snapshot()
        /// By when each loop will have turned again, at the latest.
        var turns: [Loop: ContinuousClock.Instant] = [:]
    }

    /// Figures for whoever watches, beside the snapshot for whoever asks.
    let metrics = WorkerMetrics()
    /// The same for people, until it is stored.
    let tally = RunTally()
    private let state = Mutex(State())
    private let changes: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    package init() {
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package var snapshot: Snapshot { state.withLock { $0.snapshot } }

    /// An element after each change of phase or connection; for one reader.
    package var transitions: AsyncStream<Void> { changes }

    func update(_ change: (inout Snapshot) -> Void) {
        let isTransition = state.withLock { state in
            let before = (state.snapshot.phase, state.snapshot.isConnected, state.snapshot.isListening)
            change(&state.snapshot)
            return before != (state.snapshot.phase, state.snapshot.isConnected, state.snapshot.isListening)
        }
        if isTransition { changed.yield() }
    }

    func count(_ change: (inout Counts) -> Void) {
        state.withLock { change(&$0.snapshot.counts) }
    }

    /// A loop's promise to have turned once more within `limit`.
    func willTurn(_ loop: Loop, within limit: Duration) {
        state.withLock { $0.turns[loop] = .now + limit }
    }

    /// The loop waits for an event, however long that takes.
    func rests(_ loop: Loop) {
        state.withLock { $0.turns[loop] = nil }
    }

    /// Loops that broke their promise: they hang.
    package func stuckLoops(now: ContinuousClock.Instant = .now) -> [Loop] {
        state.withLock { state in state.turns.filter { $0.value < now }.map(\.key) }
            .sorted { $0.rawValue < $1.rawValue }
    }

    /// The database answered.
    /// - Returns: Whether it had been lost before.
    @discardableResult
    func reportAnswer() -> Bool {
        var wasAway = false
        update { wasAway = $0.answered(now: .now) }
        return wasAway
    }

    /// The database failed to answer a poll or a heartbeat.
    /// - Returns: Whether that is news.
    func reportOutage(_ error: PostgresError) -> Bool {
        metrics.databaseFailed()
        var isNews = false
        update { isNews = $0.failed("\(error)", now: .now) }
        return isNews
    }

    var jobTimeout: Duration { state.withLock { $0.snapshot.jobTimeout } }

    func finish() { changed.finish() }
}
