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

/// How a processor's task ended.
enum ProcessorEnd: Sendable {
    case returned(JSONText?)
    case threw(any Error)
    /// It was told to stop and did not within the grace time; it may still run.
    case abandoned
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
        var task: Task<Void, Never>?
        var end: ProcessorEnd?
        var endWaiter: CheckedContinuation<ProcessorEnd, Never>?
        var stopReason: StopReason?
        var stoppedAt: ContinuousClock.Instant?
        /// Its outcome is being stored: nothing stops it any more.
        var isSettling = false
    }

    private struct Waiter {
        var awaited: Set<Claim>
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var limit: Int
        var runs: [Claim: Run] = [:]
        var waiters: [UInt64: Waiter] = [:]
        var lastWaiter: UInt64 = 0
    }

    private let state: Mutex<State>

    init(limit: Int) { state = Mutex(State(limit: limit)) }

    /// Most runs at once.
    var limit: Int {
        get { state.withLock { $0.limit } }
        set { state.withLock { $0.limit = newValue } }
    }

    var count: Int { state.withLock { $0.runs.count } }
    var free: Int { state.withLock { max(0, $0.limit - $0.runs.count) } }
    var isEmpty: Bool { state.withLock { $0.runs.isEmpty } }
    var claims: [Claim] { state.withLock { Array($0.runs.keys) } }
    var hasSuspect: Bool { state.withLock { state in state.runs.values.contains { $0.claimed.isSuspect } } }

    /// Runs of each queue.
    var countByQueue: [String: Int] {
        state.withLock { state in
            state.runs.values.reduce(into: [:]) { $0[$1.claimed.job.queue, default: 0] += 1 }
        }
    }

    /// Counts the runs from now on; before any of them starts.
    ///
    /// Where the answer to the claim was so long on its way that another worker may have the jobs by now, the
    /// runs are stopped from the start.
    func admit(
        _ claimed: [ClaimedJob], timeout: Duration, askedAt: ContinuousClock.Instant, confirmedWithin limit: Duration
    ) {
        let now = ContinuousClock.now
        let isLate = askedAt + limit <= now
        state.withLock { state in
            for job in claimed {
                var run = Run(claimed: job, deadline: now + (job.job.timeout ?? timeout), confirmedAt: askedAt)
                if isLate {
                    run.stopReason = .unconfirmed
                    run.stoppedAt = now
                }
                state.runs[job.claim] = run
            }
        }
    }

    /// Whether the run was told to stop.
    func isStopped(_ claim: Claim) -> Bool { state.withLock { $0.runs[claim]?.stopReason != nil } }

    func deadline(of claim: Claim) -> ContinuousClock.Instant? {
        state.withLock { $0.runs[claim]?.deadline }
    }

    // MARK: A run's task

    /// Ties the run to its task; a stop that came before cancels it at once.
    func attach(_ task: Task<Void, Never>, to claim: Claim) {
        let isStopped = state.withLock { state in
            state.runs[claim]?.task = task
            return state.runs[claim]?.stopReason != nil
        }
        if isStopped { task.cancel() }
    }

    /// The task of this run has ended; or nobody waits for it any longer. The first word stands.
    func end(_ claim: Claim, _ end: ProcessorEnd) {
        let waiter = state.withLock { state -> CheckedContinuation<ProcessorEnd, Never>? in
            guard var run = state.runs[claim], run.end == nil else { return nil }
            run.end = end
            let waiter = run.endWaiter
            run.endWaiter = nil
            state.runs[claim] = run
            return waiter
        }
        waiter?.resume(returning: end)
    }

    /// Waits until the run's task has ended, or is given up.
    func awaitEnd(of claim: Claim) async -> ProcessorEnd {
        await withCheckedContinuation { continuation in
            let early = state.withLock { state -> ProcessorEnd? in
                guard let run = state.runs[claim] else { return .abandoned }
                if run.end == nil { state.runs[claim]?.endWaiter = continuation }
                return run.end
            }
            if let early { continuation.resume(returning: early) }
        }
    }

    /// Waits for the task itself, however it was judged.
    func waitUntilTaskEnds(_ claim: Claim) async {
        await state.withLock { $0.runs[claim]?.task }?.value
    }

    // MARK: Stopping

    /// Stops runs; the first reason stays, but `lost` wins over all.
    func stop(_ claims: some Sequence<Claim>, because reason: StopReason) {
        let now = ContinuousClock.now
        let tasks = state.withLock { state in
            claims.compactMap { claim -> Task<Void, Never>? in
                guard var run = state.runs[claim], !run.isSettling else { return nil }
                guard run.stopReason == nil || reason == .lost else { return nil }
                run.stopReason = reason
                run.stoppedAt = run.stoppedAt ?? now
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

    /// The database has confirmed these claims, asked at `instant`.
    func confirm(_ claims: Set<Claim>, at instant: ContinuousClock.Instant) {
        state.withLock { state in
            for claim in claims { state.runs[claim]?.confirmedAt = instant }
        }
    }

    /// Runs that have to be stopped, or given up, by now.
    struct Overdue {
        /// Past their time.
        var timedOut: [Claim] = []
        /// Unconfirmed for too long.
        var unconfirmed: [Claim] = []
        /// Told to stop, and still there after the grace time.
        var deaf: [Claim] = []
        /// When to look again; `nil` while nothing runs.
        var next: ContinuousClock.Instant?
    }

    func overdue(
        now: ContinuousClock.Instant, confirmedWithin limit: Duration, grace: Duration
    ) -> Overdue {
        state.withLock { state in
            var overdue = Overdue()
            func look(at moment: ContinuousClock.Instant) {
                overdue.next = min(overdue.next ?? moment, moment)
            }
            for (claim, run) in state.runs where run.end == nil {
                if let stoppedAt = run.stoppedAt {
                    if stoppedAt + grace <= now { overdue.deaf.append(claim) } else { look(at: stoppedAt + grace) }
                } else if run.deadline <= now {
                    overdue.timedOut.append(claim)
                    look(at: now + grace)
                } else if run.confirmedAt + limit <= now {
                    overdue.unconfirmed.append(claim)
                    look(at: now + grace)
                } else {
                    look(at: min(run.deadline, run.confirmedAt + limit))
                }
            }
            return overdue
        }
    }

    // MARK: The end of runs

    /// Frees the run's slot.
    func remove(_ claim: Claim) {
        let done = state.withLock { state in
            state.runs[claim] = nil
            var done: [CheckedContinuation<Void, Never>] = []
            for (id, waiter) in state.waiters {
                var waiter = waiter
                waiter.awaited.remove(claim)
                state.waiters[id] = waiter.awaited.isEmpty ? nil : waiter
                if waiter.awaited.isEmpty { done.append(waiter.continuation) }
            }
            return done
        }
        for continuation in done { continuation.resume() }
    }

    /// Returns once none of these runs is left, or the task is cancelled.
    func waitUntilGone(_ claims: Set<Claim>) async {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    let awaited = claims.filter { state.runs[$0] != nil }
                    guard !awaited.isEmpty, !Task.isCancelled else { return true }
                    state.waiters[id] = Waiter(awaited: awaited, continuation: continuation)
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }
}
