import Metrics
import Postgres
import Synchronization

/// Counts what the worker does, through the facade of swift-metrics: who embeds the library brings a backend.
final class WorkerMetrics: Sendable {
    private struct Kind: Hashable {
        let queue: String
        let type: String
    }

    /// What is counted of the jobs of a kind. Never leaves the lock, but for its timers and counters.
    private final class Series {
        let kind: Kind
        let duration: Timer
        let wait: Timer
        private let completed: Counter
        private var others: [Stored: Counter] = [:]
        /// Whether a job was completed since somebody asked.
        var hasCompleted = false

        init(_ kind: Kind) {
            self.kind = kind
            let dimensions = [("queue", kind.queue), ("job_type", kind.type)]
            duration = Timer(label: MetricCatalog.duration.name, dimensions: dimensions)
            wait = Timer(label: MetricCatalog.wait.name, dimensions: dimensions)
            completed = Self.counter(kind, .completed)
        }

        func counter(of outcome: Stored) -> Counter {
            if outcome == .completed { return completed }
            let counter = others[outcome] ?? Self.counter(kind, outcome)
            others[outcome] = counter
            return counter
        }

        private static func counter(_ kind: Kind, _ outcome: Stored) -> Counter {
            Counter(
                label: MetricCatalog.jobs.name,
                dimensions: [("queue", kind.queue), ("job_type", kind.type), ("outcome", outcome.label)])
        }
    }

    private struct State {
        var series: [Kind: Series] = [:]
        /// Most jobs are of the kind of the one before.
        var latest: (job: Kind, series: Series)?
        var polls: [String: Counter] = [:]
        var types: Set<String> = []
    }

    /// Job types are free texts of other programs: beyond so many they share one label.
    private static let typesMax = 200

    private let state = Mutex(State())
    private let reaped = Counter(label: MetricCatalog.reaped.name)
    private let databaseErrors = Counter(label: MetricCatalog.databaseErrors.name)
    private let deliveries = ["delivered", "retried", "failed", "fenced"].reduce(into: [String: Counter]()) {
        $0[$1] = Counter(label: MetricCatalog.webhookDeliveries.name, dimensions: [("outcome", $1)])
    }
    private let alerts = AlertRule.allCases.reduce(into: [String: Counter]()) { counters, rule in
        for event in ["raised", "resolved"] {
            counters[rule.rawValue + event] = Counter(
                label: MetricCatalog.alerts.name, dimensions: [("rule", rule.rawValue), ("event", event)])
        }
    }
    private let ticksMade = WorkerMetrics.ticks("made")
    private let ticksSkipped = WorkerMetrics.ticks("skipped")
    private let ticksFailed = WorkerMetrics.ticks("failed")

    func ended(_ job: Job, as outcome: Stored, after duration: Duration) {
        let (counter, timer) = state.withLock { state in
            let series = series(of: job, &state)
            if outcome == .completed { series.hasCompleted = true }
            return (series.counter(of: outcome), series.duration)
        }
        counter.increment()
        timer.recordNanoseconds(duration.wholeNanoseconds)
    }

    /// An attempt started.
    func started(_ job: Job) {
        let timer = state.withLock { series(of: job, &$0).wait }
        timer.recordNanoseconds(max(.zero, job.startedAt.duration(since: job.dueAt)).wholeNanoseconds)
    }

    enum PollReason: String { case timer, request, wake }

    func polled(_ reason: PollReason) {
        let counter = state.withLock { state in
            let counter =
                state.polls[reason.rawValue]
                ?? Counter(label: MetricCatalog.polls.name, dimensions: [("reason", reason.rawValue)])
            state.polls[reason.rawValue] = counter
            return counter
        }
        counter.increment()
    }

    /// What became of a schedule's ticks.
    func ticked(added: Int, isSkipped: Bool, isFailed: Bool) {
        if added > 0 { ticksMade.increment(by: added) }
        if isSkipped { ticksSkipped.increment() }
        if isFailed { ticksFailed.increment() }
    }

    private static func ticks(_ outcome: String) -> Counter {
        Counter(label: MetricCatalog.scheduleTicks.name, dimensions: [("outcome", outcome)])
    }

    /// A try to deliver an event has ended.
    func delivered(_ outcome: String) { deliveries[outcome]?.increment() }

    /// The queues in which jobs were completed here since the last call.
    func takeCompletedQueues() -> Set<String> {
        state.withLock { state in
            defer { for series in state.series.values { series.hasCompleted = false } }
            return Set(state.series.values.filter(\.hasCompleted).map(\.kind.queue))
        }
    }

    /// This process found that a situation has begun (`raised`) or is over (`resolved`).
    func alerted(_ rule: String, _ event: String) {
        alerts[rule + event]?.increment()
    }

    func tookBack(_ count: Int) { if count > 0 { reaped.increment(by: count) } }

    func databaseFailed() { databaseErrors.increment() }

    private func label(of type: String, _ state: inout State) -> String {
        if state.types.contains(type) { return type }
        guard state.types.count < Self.typesMax else { return "other" }
        state.types.insert(type)
        return type
    }

    private func series(of job: Job, _ state: inout State) -> Series {
        if let latest = state.latest, latest.job.type == job.type, latest.job.queue == job.queue {
            return latest.series
        }
        let kind = Kind(queue: job.queue, type: label(of: job.type, &state))
        let series = state.series[kind] ?? Series(kind)
        state.series[kind] = series
        state.latest = (Kind(queue: job.queue, type: job.type), series)
        return series
    }
}

extension Stored {
    /// As the label `outcome` spells it.
    fileprivate var label: String {
        switch self {
        case .completed: "completed"
        case .retried: "retried"
        case .failed: "failed"
        case .snoozed: "snoozed"
        case .released: "released"
        case .ended: "cancelled"
        case .fenced: "fenced"
        case .unknown: "unknown"
        }
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : scaled + attoseconds / 1_000_000_000
    }
}
