import Postgres
import Synchronization

/// Which claims may be under way, and what came of them: plans them, reserves slots for them, and hands claimed jobs on.
///
/// A claim is sent by the poller, or rides with completions that the completer stores.
final class Intake: Sendable {
    /// A claim on its way. Ends with exactly one of `end` and `fail`.
    struct Claiming: Sendable {
        var request: ClaimRequest
        /// By the rules of the queues.
        var isCareful = false
        /// The one job it is about, as announced.
        fileprivate var only: DueAnnouncement?
        /// Slots kept free for it, beside those of runs that it ends.
        fileprivate let reserved: Int
        fileprivate let askedAt: ContinuousClock.Instant
        /// What `PollPlan.looked` is told.
        fileprivate let began: UInt64
    }

    private struct State {
        var plan: PollPlan
        var lanes = DueLanes()
        /// A job that is all there is to look for: it is claimed by its id, without a look at its lane.
        var only: DueAnnouncement?
        /// Queues whose rules only the careful claim knows, as last heard; `*` stands for all. Should one be missing,
        /// the quick claim gets nothing of it.
        var ruledQueues: Set<String> = []
        /// Claims on their way.
        var underway = 0
        /// One of them may bring a suspect.
        var isSuspectUnderway = false
        var isStopping = false
        /// Types that were left out of a look, as enough of their jobs run: nobody knows what of them is due.
        var fullTypes: Set<String> = []
        var lastCancel: ContinuousClock.Instant?
        /// When a claim of one announced job ended.
        var lastClaimOfOne: ContinuousClock.Instant?
    }

    /// So that many workers don't look all at once for a job that becomes due.
    private static let spread = 0.0..<0.01
    private static let restBetweenOnes = Duration.milliseconds(2)
    /// Two overlap: while one waits for the disk the other is worked on.
    private static let underwayMax = 2

    /// The jobs of one claim each; finishes when none can come any more.
    let arrivals: AsyncStream<[ClaimedJob]>
    private let arrived: AsyncStream<[ClaimedJob]>.Continuation
    private let running: RunningJobs
    private let state: Mutex<State>
    private let wakeup: Wakeup
    private let beat: Wakeup
    private let configuration: @Sendable () -> WorkerConfiguration
    let types: @Sendable () -> ServedTypes
    private let now: @Sendable () -> ContinuousClock.Instant

    /// - Parameters:
    ///   - wakeup: Raised where the poller has something to do.
    ///   - beat: Raised where the heartbeat has.
    ///   - now: For tests; by default the time of this process.
    init(
        running: RunningJobs, wakeup: Wakeup, beat: Wakeup,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        configuration: @escaping @Sendable () -> WorkerConfiguration,
        types: @escaping @Sendable () -> ServedTypes
    ) {
        (arrivals, arrived) = AsyncStream.makeStream()
        state = Mutex(State(plan: PollPlan(now: now())))
        self.now = now
        self.running = running
        self.wakeup = wakeup
        self.beat = beat
        self.configuration = configuration
        self.types = types
    }

    // MARK: What happens

    /// Something may be due.
    /// - Returns: Whether it is a job by itself, all there is to do: then the caller claims it, and the poller isn't woken.
    @discardableResult
    func hear(_ announcement: DueAnnouncement) -> Bool {
        let free = running.free
        let mustClaim = state.withLock { state in
            if case .later(_, _, let due) = announcement {
                // Early rather than late: the look finds out how long it is still.
                let spread = Duration.seconds(Double.random(in: Intake.spread))
                state.plan.hear(due: (state.lanes.moment(of: due) ?? now()) + spread)
                return false
            }
            let isAlone =
                !state.isStopping && announcement.job != nil && state.only == nil && state.underway == 0
                && state.plan.isQuiet(free: free)
            lookEverywhere(&state)
            if isAlone { state.only = announcement } else { state.lanes.hear(announcement) }
            if announcement == .unknown { state.plan.pollSoon(now: now()) }
            // A slot is kept for the one that is alone.
            state.plan.wake(now: now(), of: isAlone ? nil : announcement)
            // What waited while the last one was claimed comes right after it: the poller takes all of it at once.
            return isAlone && !obeysRules(state) && !restsFromOne(state)
        }
        if !mustClaim { wakeup.raise() }
        return mustClaim
    }

    /// The last claim of one job has only just ended.
    private func restsFromOne(_ state: State) -> Bool {
        state.lastClaimOfOne.map { now() - $0 <= Intake.restBetweenOnes } ?? false
    }

    /// A running job was cancelled: one of this process, or one that a claim on its way brings.
    func hearCancel() {
        state.withLock { $0.lastCancel = now() }
        beat.raise()
    }

    func setListening(_ isListening: Bool) {
        state.withLock { $0.plan.isListening = isListening }
        wakeup.raise()
    }

    /// Slots have become free: worth a look if the last one left something behind; and what is to be done at a time the
    /// poller didn't wait for without a slot.
    func slotsFreed() {
        let mustWake = state.withLock { state in
            lookForFullTypes(&state)
            return state.plan.slotFreed() || state.plan.hasTimer
        }
        if mustWake { wakeup.raise() }
    }

    /// What was to be claimed by its id is looked for with everything else.
    private func lookEverywhere(_ state: inout State) {
        if let only = state.only {
            state.lanes.hear(only)
            state.plan.miss(only)
        }
        state.only = nil
    }

    private func lookForFullTypes(_ state: inout State) {
        guard !state.fullTypes.isEmpty else { return }
        let limits = types().limits
        let free = state.fullTypes.filter { type in limits[type].map { running.count(ofType: type) < $0 } ?? true }
        guard !free.isEmpty else { return }
        state.fullTypes.subtract(free)
        state.plan.mustLookAgain()
    }

    /// No claim begins any more.
    func stop() {
        let isDone = state.withLock { state in
            state.isStopping = true
            lookEverywhere(&state)
            return state.underway == 0
        }
        if isDone { arrived.finish() }
    }

    // MARK: Planning

    func action(isAsked: Bool) -> PollPlan.Action {
        let (free, isFull) = (running.free, running.isFull)
        return state.withLock { $0.plan.action(now: now(), isAsked: isAsked, free: free, isFull: isFull) }
    }

    func attended(_ isAttending: Bool) { state.withLock { $0.plan.attended(isAttending, now: now()) } }
    var isAttending: Bool { state.withLock { $0.plan.isAttending } }
    var hasMissed: Bool { state.withLock { $0.plan.hasMissed } }
    /// What this worker was told and hasn't claimed: whoever takes it tells others.
    func takeMissed() -> [DueAnnouncement] { state.withLock { $0.plan.takeMissed() } }
    /// The others couldn't be told.
    func putBack(_ missed: [DueAnnouncement]) {
        state.withLock { state in for announcement in missed { state.plan.miss(announcement) } }
    }

    /// The timer's look has been answered.
    /// - Parameter nextDue: In what time the next job becomes due; `nil` where there is none.
    func polled(isReapingDone: Bool, pause: Duration, nextDue: Duration?) {
        state.withLock { state in
            state.plan.polled(isReapingDone: isReapingDone, now: now(), pause: pause)
            state.plan.knows(due: nextDue.map { moment(in: $0) })
        }
    }

    private func moment(in time: Duration) -> ContinuousClock.Instant {
        now() + max(.zero, time) + .seconds(Double.random(in: Intake.spread))
    }

    /// The queues to look at, for a search.
    var queues: [ClaimRequest.QueueShare] { configuration().queues.map { .init(name: $0.name, free: 1) } }

    func searchBegins() {
        state.withLock { state in
            lookEverywhere(&state)
            state.plan.asksForDue(now: now())
        }
    }

    /// A search found these.
    func searched(_ survey: LaneSurvey, took duration: Duration) {
        let nextDue = survey.nextDue.map { moment(in: $0.duration(since: survey.now)) }
        state.withLock { state in
            lookEverywhere(&state)
            state.lanes.learned(survey.lanes)
            state.ruledQueues = survey.ruledQueues
            state.plan.searched(now: now(), took: duration)
            state.plan.knows(due: nextDue)
        }
    }

    // MARK: Claims

    /// - Parameter everywhere: The timer's look.
    /// - Returns: `nil` where none may begin now.
    func begin(everywhere: Bool) -> Claiming? {
        state.withLock { state in
            // The timer's look also tells that this process lives, and mustn't wait.
            guard everywhere ? !state.isStopping : mayBegin(state) else { return nil }
            if everywhere || obeysRules(state) { lookEverywhere(&state) }
            if everywhere {
                state.plan.pollBegins()
                state.plan.asksForDue(now: now())
            }
            var claiming = reserve(&state, everywhere: everywhere, leaving: [])
            if !everywhere, obeysRules(state) {
                claiming.isCareful = true
                // So few that none of the limited types can get too many.
                let fewest = claiming.request.typesLeft.values.min() ?? JobStore.carefulMax
                claiming.request.limit = min(claiming.request.limit, JobStore.carefulMax, fewest)
            }
            return claiming
        }
    }

    /// A claim that is to be sent along with the ends of these runs.
    /// - Returns: `nil` where nothing is known to be due, or none may begin now.
    func begin(leaving: [Claim]) -> Claiming? {
        state.withLock { state in
            // A search is the poller's, and so is a claim that counts what runs: it has to see these ends.
            guard mayBegin(state), !obeysRules(state), !state.plan.needsSearch(now: now()), state.plan.slotFreed()
            else { return nil }
            lookEverywhere(&state)
            return reserve(&state, everywhere: false, leaving: leaving)
        }
    }

    /// What the database made of a claim, and of the runs whose ends it stored.
    func end(
        _ claiming: Claiming, claimed: [ClaimedJob], everything: LaneSurvey? = nil,
        careful: CarefulAnswer? = nil, left: [Claim] = []
    ) {
        let configuration = configuration()
        running.exchange(
            leaving: left, reserved: claiming.reserved, claimed: claimed,
            timeouts: Timeouts(usual: configuration.jobTimeout, ofTypes: types().timeouts),
            staleAfter: configuration.staleAfter, askedAt: claiming.askedAt)
        let (isDone, isCancelled) = state.withLock { state in
            if let everything {
                state.ruledQueues = everything.ruledQueues
                state.lanes.discovered(everything.lanes, at: everything.now, askedAt: claiming.askedAt, now: now())
                // Another claim may have taken these in meanwhile, and not come to them.
                for told in state.plan.notes(since: claiming.began) {
                    state.lanes.hear(told)
                    state.plan.mustLookAgain()
                }
            }
            if let only = claiming.only {
                if claimed.isEmpty {
                    state.lanes.hear(only)
                    state.plan.miss(only)
                }
                state.plan.lookedForOne(found: !claimed.isEmpty, now: now())
            } else {
                // How far a careful claim saw, nobody knows.
                if !claiming.isCareful {
                    state.lanes.looked(for: claiming.request, claimed: claimed, askedAt: claiming.askedAt)
                }
                let unfound = state.plan.looked(
                    for: claiming.request, claimed: claimed, now: now(), began: claiming.began)
                for told in unfound { state.lanes.hear(told) }
            }
            if let careful { state.plan.lookedCarefully(careful, now: now()) }
            // Another claim had reserved the slots that this one was to fill, and may bring nothing.
            if claiming.request.limit == 0 { state.plan.mustLookAgain() }
            // The timer's look left the queues with rules to a claim of their own.
            if everything != nil, obeysRules(state) { state.plan.mustLookAgain() }
            if !left.isEmpty { lookForFullTypes(&state) }
            return (leave(&state, claiming), state.lastCancel.map { $0 >= claiming.askedAt } ?? false)
        }
        if !claimed.isEmpty { arrived.yield(claimed) }
        // Cancelled before this process knew that it runs them.
        if isCancelled, !claimed.isEmpty { beat.raise() }
        if isDone { arrived.finish() } else { wakeup.raise() }
    }

    func fail(_ claiming: Claiming) {
        running.release(claiming.reserved)
        let isDone = state.withLock { state in
            if let only = claiming.only {
                state.lanes.hear(only)
                state.plan.miss(only)
            }
            state.lanes.failed(claiming.request)
            state.plan.lookFailed()
            return leave(&state, claiming)
        }
        if isDone { arrived.finish() } else { wakeup.raise() }
    }

    var isClaiming: Bool { state.withLock { $0.underway > 0 } }

    /// Whether one of the queues served here has rules.
    private func obeysRules(_ state: State) -> Bool {
        guard !state.ruledQueues.isEmpty else { return false }
        return configuration().queues.contains { $0.name == "*" || state.ruledQueues.contains($0.name) }
            || state.ruledQueues.contains("*")
    }

    private func mayBegin(_ state: State) -> Bool {
        guard !state.isStopping else { return false }
        // So are careful claims.
        return state.underway < (isCapped || obeysRules(state) ? 1 : Intake.underwayMax)
    }

    /// Caps of single queues and types are counted for one claim at a time.
    private var isCapped: Bool {
        configuration().queues.contains { $0.maxConcurrent != nil } || !types().limits.isEmpty
    }

    private func reserve(_ state: inout State, everywhere: Bool, leaving: [Claim]) -> Claiming {
        let types = types()
        let isLonely = state.underway == 0 || !isCapped
        let only = everywhere ? nil : state.only
        state.only = nil
        var (request, reserved) = running.reserve(
            configuration(), types: types, lanes: nil, only: only?.job, leaving: leaving, claims: isLonely)
        let lanes = only == nil ? state.lanes.asked(without: request.fullTypes) : []
        if !everywhere { request.lanes = lanes }
        state.fullTypes.formUnion(request.fullTypes)
        if state.isSuspectUnderway { request.takesSuspect = false }
        if request.takesSuspect { state.isSuspectUnderway = true }
        state.underway += 1
        let began = state.plan.lookBegins()
        return Claiming(request: request, only: only, reserved: reserved, askedAt: now(), began: began)
    }

    /// - Returns: Whether it was the last of all.
    private func leave(_ state: inout State, _ claiming: Claiming) -> Bool {
        state.underway -= 1
        if claiming.only != nil { state.lastClaimOfOne = now() }
        if claiming.request.takesSuspect { state.isSuspectUnderway = false }
        return state.isStopping && state.underway == 0
    }
}
