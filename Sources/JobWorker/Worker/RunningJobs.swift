import FoundationEssentials
import Synchronization

/// The runs of this process and the task of each: carries out what `Runs` decides.
///
/// A `Mutex`, not an actor: each access is a few dictionary operations, and a cancel mustn't queue
/// behind somebody's `await`.
final class RunningJobs: Sendable {
    /// An object, as each run changes it a few times: in a dictionary's value that costs an allocation each. Never
    /// leaves the lock.
    private final class Handle {
        var task: Task<Void, Never>?
        var endWaiter: (any ProcessorEndWaiter)?
        var hasTaskEnded = false
        var taskWaiter: CheckedContinuation<Void, Never>?

        func takeEndWaiter() -> (any ProcessorEndWaiter)? {
            defer { endWaiter = nil }
            return endWaiter
        }

        /// - Returns: Who waits for that.
        func endTask() -> CheckedContinuation<Void, Never>? {
            hasTaskEnded = true
            defer { taskWaiter = nil }
            return taskWaiter
        }
    }

    private struct Waiter {
        var awaited: Set<Claim>
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var runs: Runs
        var handles: [Claim: Handle] = [:]
        var waiters: [UInt64: Waiter] = [:]
        var lastWaiter: UInt64 = 0
        /// Nobody waits any more for processors that don't listen.
        var hasLetGo = false
    }

    private let state: Mutex<State>
    private let begun = Wakeup()

    init(limit: Int) { state = Mutex(State(runs: Runs(limit: limit))) }

    /// Most runs at once.
    var limit: Int {
        get { state.withLock { $0.runs.limit } }
        set { state.withLock { $0.runs.limit = newValue } }
    }

    var count: Int { state.withLock { $0.runs.count } }
    /// Each slot has a run; claims on their way don't count.
    var isFull: Bool { state.withLock { $0.runs.count >= $0.runs.limit } }
    var free: Int { state.withLock { $0.runs.free } }
    var isEmpty: Bool { state.withLock { $0.runs.isEmpty } }
    var claims: [Claim] { state.withLock { $0.runs.claims } }
    func count(ofType type: String) -> Int { state.withLock { $0.runs.count(ofType: type, without: []) } }

    // MARK: Claims

    /// Keeps slots free for a claim.
    /// - Parameters:
    ///   - leaving: Runs whose end is stored in the same statement.
    ///   - only: The one job that it is about.
    ///   - claims: Whether it may bring any jobs.
    /// - Returns: The claim, and how many slots were kept for it beside those of the leaving runs.
    func reserve(
        _ configuration: WorkerConfiguration, types: ServedTypes, lanes: [ClaimRequest.Lane]?, only: UUID? = nil,
        leaving: [Claim], claims: Bool
    ) -> (request: ClaimRequest, reserved: Int) {
        state.withLock { state in
            var request = state.runs.request(configuration, types: types, lanes: lanes, leaving: leaving)
            if !claims { request.limit = 0 }
            if let only { (request.only, request.limit) = (only, min(request.limit, 1)) }
            let reserved = max(0, request.limit - leaving.count)
            state.runs.reserve(reserved)
            return (request, reserved)
        }
    }

    /// The claim failed.
    func release(_ reserved: Int) { state.withLock { $0.runs.release(reserved) } }

    /// Frees the slots of runs that are over, and counts new ones from now on; before any of them starts.
    /// - Parameter reserved: Slots that were kept for the new ones.
    func exchange(
        leaving: [Claim], reserved: Int, claimed: [ClaimedJob], timeouts: Timeouts, staleAfter: Duration,
        askedAt: ContinuousClock.Instant
    ) {
        let (done, isFirst) = state.withLock { state in
            let done = remove(leaving, &state)
            let isFirst = state.runs.isEmpty && !claimed.isEmpty
            state.runs.release(reserved)
            state.runs.admit(claimed, timeouts: timeouts, staleAfter: staleAfter, askedAt: askedAt, now: .now)
            for job in claimed { state.handles[job.claim] = Handle() }
            return (done, isFirst)
        }
        if isFirst { begun.raise() }
        for continuation in done { continuation.resume() }
    }

    /// When the run is over its time; `nil` where it was told to stop already.
    func deadline(of claim: Claim) -> ContinuousClock.Instant? {
        state.withLock { $0.runs.deadline(of: claim) }
    }

    // MARK: A run's task

    /// Nobody waits any longer for the task of this run, unless it has ended.
    func abandon(_ claim: Claim) {
        let waiter = state.withLock { state in
            state.runs.end(claim, .abandoned) ? state.handles[claim]?.takeEndWaiter() : nil
        }
        waiter?.ended(.abandoned)
    }

    /// The task of this run has ended in this way; what was said of it before stands.
    func taskEnded(_ claim: Claim, _ end: ProcessorEnd) {
        let (waiter, taskWaiter) = state.withLock { state in
            let isFirst = state.runs.end(claim, end)
            let handle = state.handles[claim]
            return (isFirst ? handle?.takeEndWaiter() : nil, handle?.endTask())
        }
        waiter?.ended(end)
        taskWaiter?.resume()
    }

    /// Ties the run to its task. A stop that came before cancels it at once.
    /// - Parameter waiter: Told once the task has ended or is given up, which may have happened before.
    func attach(_ task: Task<Void, Never>, to claim: Claim, _ waiter: some ProcessorEndWaiter) {
        let (early, isStopped) = state.withLock { state -> (ProcessorEnd?, Bool) in
            guard let run = state.runs[claim], let handle = state.handles[claim] else { return (.abandoned, true) }
            handle.task = task
            if run.end == nil { handle.endWaiter = waiter }
            return (run.end, run.stopReason != nil)
        }
        if isStopped { task.cancel() }
        if let early { waiter.ended(early) }
    }

    /// Waits for the task itself, where the run has one, or until `letGo()`.
    func waitUntilTaskEnds(_ claim: Claim) async {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                guard !state.hasLetGo, let handle = state.handles[claim], handle.task != nil, !handle.hasTaskEnded
                else { return false }
                handle.taskWaiter = continuation
                return true
            }
            if !mustWait { continuation.resume() }
        }
    }

    /// Waits no longer for processors that don't listen: the process ends, and they with it.
    func letGo() {
        let waiters = state.withLock { state in
            state.hasLetGo = true
            let waiters = state.handles.values.compactMap(\.taskWaiter)
            for handle in state.handles.values { handle.taskWaiter = nil }
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: Stopping

    /// Stops runs; the first reason stays, but `lost` wins over all.
    func stop(_ claims: some Sequence<Claim>, because reason: StopReason) {
        cancelTasks { $0.stop(claims, because: reason, now: .now) }
    }

    func stopAll(because reason: StopReason) {
        cancelTasks { $0.stop($0.claims, because: reason, now: .now) }
    }

    /// Takes in what the database said of these claims, asked at `askedAt`.
    func hear(_ answer: HeartbeatAnswer, askedAt: ContinuousClock.Instant) {
        cancelTasks { $0.hear(answer, askedAt: askedAt, now: .now) }
    }

    private func cancelTasks(of choose: (inout Runs) -> [Claim]) {
        let tasks = state.withLock { state in
            let claims = choose(&state.runs)
            return claims.compactMap { state.handles[$0]?.task }
        }
        // Out of the lock: cancellation handlers may come back here.
        for task in tasks { task.cancel() }
    }

    /// From here on the run's outcome stands.
    /// - Returns: Why it was stopped, if it was.
    func settle(_ claim: Claim) -> StopReason? {
        state.withLock { $0.runs.settle(claim) }
    }

    func overdue(now: ContinuousClock.Instant, staleAfter: Duration, grace: Duration) -> Runs.Overdue {
        state.withLock { $0.runs.overdue(now: now, staleAfter: staleAfter, grace: grace) }
    }

    /// Returns once there are runs, or the task is cancelled. For one reader.
    func waitForRuns() async {
        while isEmpty, !Task.isCancelled { await begun.wait() }
    }

    // MARK: The end of runs

    /// Frees the runs' slots.
    func remove(_ claims: [Claim]) {
        let done = state.withLock { remove(claims, &$0) }
        for continuation in done { continuation.resume() }
    }

    private func remove(_ claims: [Claim], _ state: inout State) -> [CheckedContinuation<Void, Never>] {
        var done: [CheckedContinuation<Void, Never>] = []
        for claim in claims {
            state.runs.remove(claim)
            state.handles[claim] = nil
            for (id, waiter) in state.waiters {
                var waiter = waiter
                waiter.awaited.remove(claim)
                state.waiters[id] = waiter.awaited.isEmpty ? nil : waiter
                if waiter.awaited.isEmpty { done.append(waiter.continuation) }
            }
        }
        return done
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
