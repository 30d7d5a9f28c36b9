import Synchronization

/// Why a run is stopped before its processor has ended by itself.
enum StopReason: Sendable, Hashable {
    case cancelled
    /// Taken back or deleted: nothing more may be written.
    case lost
    case timedOut
    /// The worker is stopping: the attempt is given back.
    case draining
    /// The lease could not be confirmed in time; the attempt is given back once the database answers.
    case unconfirmed
}

/// The runs of this process: how many slots are free, and the task of each.
///
/// A `Mutex`, not an actor: each access is a few dictionary operations, and a cancel mustn't queue
/// behind somebody's `await`.
final class RunningJobs: Sendable {
    private struct Run {
        let claimed: ClaimedJob
        let deadline: ContinuousClock.Instant
        /// When the database last confirmed the claim, measured from before it was asked.
        var confirmedAt: ContinuousClock.Instant
        var task: Task<JSONText?, any Error>?
        var stopReason: StopReason?
        /// Its outcome is being stored: nothing stops it any more.
        var isSettling = false
    }

    private struct State {
        var runs: [Claim: Run] = [:]
        var emptyWaiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { state.withLock { $0.runs.count } }
    var free: Int { max(0, limit - count) }
    var claims: [Claim] { state.withLock { Array($0.runs.keys) } }
    var hasSuspect: Bool { state.withLock { state in state.runs.values.contains { $0.claimed.isSuspect } } }

    /// Runs of each queue.
    var countByQueue: [String: Int] {
        state.withLock { state in
            state.runs.values.reduce(into: [:]) { $0[$1.claimed.job.queue, default: 0] += 1 }
        }
    }

    /// Counts the runs from now on; before any of them starts.
    func admit(_ claimed: [ClaimedJob], timeout: Duration, askedAt: ContinuousClock.Instant) {
        let now = ContinuousClock.now
        state.withLock { state in
            for job in claimed {
                state.runs[job.claim] = Run(
                    claimed: job, deadline: now + (job.job.timeout ?? timeout), confirmedAt: askedAt)
            }
        }
    }

    func deadline(of claim: Claim) -> ContinuousClock.Instant? {
        state.withLock { $0.runs[claim]?.deadline }
    }

    /// Ties the run to its task; a stop that came before cancels it at once.
    func attach(_ task: Task<JSONText?, any Error>, to claim: Claim) {
        let isStopped = state.withLock { state in
            state.runs[claim]?.task = task
            return state.runs[claim]?.stopReason != nil
        }
        if isStopped { task.cancel() }
    }

    /// Stops runs; the first reason stays, but `lost` wins over all.
    func stop(_ claims: some Sequence<Claim>, because reason: StopReason) {
        let tasks = state.withLock { state in
            claims.compactMap { claim -> Task<JSONText?, any Error>? in
                guard var run = state.runs[claim], !run.isSettling else { return nil }
                guard run.stopReason == nil || reason == .lost else { return nil }
                run.stopReason = reason
                state.runs[claim] = run
                return run.task
            }
        }
        // Out of the lock: cancellation handlers may come back here.
        for task in tasks { task.cancel() }
    }

    func stopAll(because reason: StopReason) { stop(claims, because: reason) }

    /// From here on the run's outcome stands.
    /// - Returns: Why it was stopped, if it was.
    func settle(_ claim: Claim) -> StopReason? {
        state.withLock { state in
            state.runs[claim]?.isSettling = true
            return state.runs[claim]?.stopReason
        }
    }

    /// Whether the claim was found lost while its outcome waited to be stored.
    func confirm(_ claims: Set<Claim>, at instant: ContinuousClock.Instant) {
        state.withLock { state in
            for claim in claims { state.runs[claim]?.confirmedAt = instant }
        }
    }

    /// Runs past their time, and runs whose claim went unconfirmed for too long.
    func overdue(
        now: ContinuousClock.Instant, confirmedWithin limit: Duration
    ) -> (timedOut: [Claim], unconfirmed: [Claim]) {
        state.withLock { state in
            let open = state.runs.filter { $0.value.stopReason == nil && !$0.value.isSettling }
            return (
                open.filter { $0.value.deadline <= now }.map(\.key),
                open.filter { $0.value.confirmedAt + limit <= now }.map(\.key)
            )
        }
    }

    func remove(_ claim: Claim) {
        let waiters = state.withLock { state in
            state.runs[claim] = nil
            guard state.runs.isEmpty else { return [CheckedContinuation<Void, Never>]() }
            defer { state.emptyWaiters = [] }
            return state.emptyWaiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns once nothing runs.
    func waitUntilEmpty() async {
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if !state.runs.isEmpty { state.emptyWaiters.append(continuation) }
                return state.runs.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
    }
}
