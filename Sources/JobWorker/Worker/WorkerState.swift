public import Postgres
import Synchronization

/// What the worker does now, for health answers, STATUS and the watchdog. Written by its loops,
/// read by anyone.
public final class WorkerState: Sendable {
    /// How far the worker has come.
    public enum Phase: Sendable, Hashable {
        /// No connection yet, or one whose schema wasn't looked at.
        case connecting
        /// Connected, but `jobworker migrate` is missing.
        case awaitingMigration
        case working
        case draining
        case stopped
    }

    /// A loop that must keep turning.
    public enum Loop: String, Sendable, Hashable, CaseIterable {
        case poller, heartbeat, completer
    }

    public struct Counts: Sendable, Hashable {
        public var claimed = 0
        public var completed = 0
        public var retried = 0
        public var failed = 0
        public var snoozed = 0
        public var cancelled = 0
        public var released = 0
        public var fenced = 0
        public var reaped = 0

        public init() {}
    }

    public struct Snapshot: Sendable {
        public var phase = Phase.connecting
        /// By the database's clock.
        public var lastPollAt: Timestamp?
        public var isConnected = false
        public var isListening = false
        /// Round trip of the latest poll.
        public var databaseLatency: Duration?
        /// Since when the database can't be reached, by this process's clock; `nil` while it can.
        public var disconnectedSince: ContinuousClock.Instant?
        /// The latest error of the database, as a sentence.
        public var databaseError: String?
        /// Since when no poll or heartbeat has failed; `nil` before the first success.
        public var undisturbedSince: ContinuousClock.Instant?
        /// How long the server had been up at the latest poll, by its own clock.
        public var serverAge: Duration?
        /// Whether a poll or a heartbeat has failed since the start, after an earlier one had succeeded.
        public var hasLostDatabase = false
        /// The latest poll, by this process's clock.
        public var lastPollInstant: ContinuousClock.Instant?
        /// Longest time for an attempt, where its job says nothing else.
        public var jobTimeout = Duration.seconds(900)
        /// Types that are not served although configured, and why.
        public var unservedTypes: [String: String] = [:]
        public var counts = Counts()
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

    public init() {
        (changes, changed) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    public var snapshot: Snapshot { state.withLock { $0.snapshot } }

    /// An element after each change of phase or connection; for one reader.
    public var transitions: AsyncStream<Void> { changes }

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
    public func stuckLoops(now: ContinuousClock.Instant = .now) -> [Loop] {
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
