/// When the poller must look at the queue, and how: the timer, those who ask for a look, wake-ups and freed slots.
///
/// A waiting worker lets itself be woken by whoever inserts jobs; that costs the inserting side, so a worker that is
/// woken all the time turns wake-ups away and looks by itself until there is nothing more to find. So does one that was
/// told of more than it has slots for, and tells others that wait.
/// A value: it is told what happens, and says what to do next.
struct PollPlan: Sendable {
    enum Action: Sendable, Hashable {
        /// The timer's look: presence, reaping and a claim everywhere, in one statement.
        case poll
        /// Only a claim, where jobs are known to be.
        case claim
        /// Find out where jobs may be, then a claim.
        case search
        /// Say that this worker waits, or that it needs no wake-ups.
        case attend(Bool)
        /// Nothing before this moment, unless something happens.
        case wait(until: ContinuousClock.Instant)
    }

    /// Something may be due that nobody has looked for.
    private(set) var mustLook = true
    /// The last look was cut short by what runs here: once a slot is free there may be more.
    private(set) var mustLookWhenFreed = false
    private(set) var nextPoll: ContinuousClock.Instant
    /// Notifications reach this process.
    var isListening = false
    /// The database knows that this worker waits.
    private(set) var isAttending = false
    /// Woken so often that it looks by itself.
    private(set) var isEager = false
    /// A claim is worth a try at this moment.
    private var nextLook: ContinuousClock.Instant?
    /// How long after the latest look beyond the announcement that one was.
    private var lookStep = Duration.zero
    /// What a limit held back may start at this moment.
    private(set) var nextChance: ContinuousClock.Instant?
    /// Wake-ups since this moment.
    private var wakes: (count: Int, since: ContinuousClock.Instant)
    /// What this worker was told and has not looked for, or not found: should its slots be full, others may take it. With the
    /// number of each, as a look covers what was told before it began.
    private var notes: [(number: UInt64, announcement: DueAnnouncement)] = []
    private var lastNote: UInt64 = 0
    private var lastFind: ContinuousClock.Instant
    private var lastPoll: ContinuousClock.Instant?
    /// A poll was asked for since the last one began.
    private var mustPoll = false
    /// Nobody tells of queues and priorities that hold something only now, or it may have been told before we listened.
    private var mustSearch = false
    /// Who isn't woken looks for such from time to time.
    private var nextSearch: ContinuousClock.Instant
    /// When the next job that is known of becomes due.
    private var due: ContinuousClock.Instant?
    /// The same of those that were told of since the last look that asks for it began.
    private var dueHeard: ContinuousClock.Instant?
    /// The last look because a job became due; whether it is still under way, and how many in a row were in vain.
    private var lastDueLook: (at: ContinuousClock.Instant, isUnderway: Bool)?
    private var promptness = Promptness()

    /// So many wake-ups in such a time are a storm.
    private static let storm = (wakes: 16, within: Duration.milliseconds(50))
    private static let notesMax = 32
    private static let eagerPause = Duration.milliseconds(4)
    /// So long without a find ends the eager time.
    private static let eagerPatience = Duration.milliseconds(20)
    /// Who inserted before this worker attended, and commits after it looked, wakes nobody: so it looks again, after
    /// five times as long each time.
    private static let firstLookStep = Duration.milliseconds(5)
    private static let lastLookStep = Duration.milliseconds(625)
    private static let restAfterVain = Duration.milliseconds(25)
    private static let restBetweenSearches = Duration.milliseconds(100)
    private static let restBetweenPolls = Duration.milliseconds(100)
    /// Each look in vain doubles it, some times: where others are faster all the time they see to the jobs, too.
    private static let restBetweenDueLooks = Duration.milliseconds(25)
    private static let latenessFactorMax = 32
    /// The database's clock may be a little behind.
    private static let restAfterChance = Duration.milliseconds(1)

    /// The first look is due at once.
    init(now: ContinuousClock.Instant) { (nextPoll, nextSearch, lastFind, wakes) = (now, now, now, (0, now)) }

    /// - Parameters:
    ///   - isAsked: Whether somebody waits for a look that begins from now on.
    ///   - free: Free slots that aren't kept for a claim on its way.
    ///   - isFull: Each slot has a run.
    func action(now: ContinuousClock.Instant, isAsked: Bool, free: Int, isFull: Bool) -> Action {
        if now >= nextPoll || isAsked { return .poll }
        if isAttending, !isListening || isEager { return .attend(false) }
        if isFull, !notes.isEmpty { return .attend(false) }
        if free > 0 {
            if mustLook { return needsSearch(now: now) ? .search : .claim }
            if let nextChance, now >= nextChance { return .claim }
            if let nextLook, now >= nextLook { return .search }
            if let nextDueLook, now >= nextDueLook { return .search }
            if isListening, !isEager, !isAttending { return .attend(true) }
        }
        // Without a slot there is nothing to do before; who frees one asks for `hasTimer`.
        return .wait(until: free > 0 ? nextTimer : nextPoll)
    }

    private var nextTimer: ContinuousClock.Instant {
        [nextLook, nextDueLook, nextChance].compactMap(\.self).reduce(nextPoll, min)
    }

    /// Something is to be done before the next poll, or was, while there was no slot for it.
    var hasTimer: Bool { nextTimer < nextPoll }

    /// Something may be due.
    /// - Parameters:
    ///   - announcement: What this worker alone may have been told.
    mutating func wake(now: ContinuousClock.Instant, of announcement: DueAnnouncement? = nil) {
        mustLook = true
        if let announcement { miss(announcement) }
        if now - wakes.since > PollPlan.storm.within { wakes = (0, now) }
        wakes.count += 1
        if wakes.count >= PollPlan.storm.wakes, isAttending, !isEager { (isEager, lastFind) = (true, now) }
    }

    /// This worker was told of it, and may have no slot for it.
    mutating func miss(_ announcement: DueAnnouncement) {
        // Of something somewhere many were told, and of a time to come the timers know.
        guard let (queue, priority, _) = announcement.place else { return }
        lastNote += 1
        // A few of a lane tell where to look; many lanes are left to the timers.
        let isKnown =
            notes.count >= PollPlan.notesMax / 2
            && notes.contains { $0.announcement.place.map { $0.queue == queue && $0.priority == priority } ?? false }
        if !isKnown, notes.count < PollPlan.notesMax { notes.append((lastNote, announcement)) }
    }

    /// What was told and not claimed. Whoever takes it tells others.
    mutating func takeMissed() -> [DueAnnouncement] {
        defer { notes = [] }
        return notes.map(\.announcement)
    }

    var hasMissed: Bool { !notes.isEmpty }

    /// What was told since a look began, and not found since.
    /// - Parameter began: What `lookBegins` gave.
    func notes(since began: UInt64) -> [DueAnnouncement] { notes.filter { $0.number > began }.map(\.announcement) }

    // MARK: Jobs that become due

    private var nextDueLook: ContinuousClock.Instant? {
        guard let due, let lastDueLook else { return due }
        return max(due, lastDueLook.at + promptness.stretched(PollPlan.restBetweenDueLooks))
    }

    /// Somebody tells that a job becomes due at this moment.
    mutating func hear(due moment: ContinuousClock.Instant) {
        due = min(due ?? moment, moment)
        dueHeard = min(dueHeard ?? moment, moment)
    }

    /// A poll or a search begins: it sees what was told before.
    mutating func asksForDue(now: ContinuousClock.Instant) {
        dueHeard = nil
        guard let nextDueLook, now >= nextDueLook else { return }
        // The claim that follows, however late, is for this job.
        mustLook = true
        lastDueLook = (now, true)
    }

    /// It found that the next job becomes due at this moment, or that none will.
    mutating func knows(due moment: ContinuousClock.Instant?) {
        due = [moment, dueHeard].compactMap(\.self).min()
    }

    // MARK: Looks

    /// Whether a claim where jobs are known to be could miss what should come first.
    func needsSearch(now: ContinuousClock.Instant) -> Bool { mustSearch || (!isAttending && now >= nextSearch) }

    /// It is known where jobs may be.
    mutating func searched(now: ContinuousClock.Instant, took duration: Duration) {
        mustSearch = false
        nextSearch = now + max(PollPlan.restBetweenSearches, duration * 20)
    }

    /// Something may be due, nobody knows where. Anybody can say so, so it is looked for ten times a second at most.
    mutating func pollSoon(now: ContinuousClock.Instant) {
        mustPoll = true
        nextPoll = min(nextPoll, max(now, lastPoll.map { $0 + PollPlan.restBetweenPolls } ?? now))
    }

    /// A slot has become free: worth a look if the last one left something behind.
    /// - Returns: Whether to look.
    mutating func slotFreed() -> Bool {
        // Who turned wake-ups away has to look instead.
        mustLook = mustLook || mustLookWhenFreed || (isListening && !isAttending)
        return mustLook
    }

    /// The timer's look begins.
    mutating func pollBegins() { mustPoll = false }

    /// What comes from now on isn't seen by the look that begins.
    /// - Returns: For `looked`.
    @discardableResult
    mutating func lookBegins() -> UInt64 {
        mustLook = false
        nextChance = nil
        return lastNote
    }

    mutating func lookFailed() { mustLook = true }

    /// Whether a job that is announced now is all there is to look for.
    func isQuiet(free: Int) -> Bool { isListening && isAttending && !isEager && !mustLook && free > 0 }

    /// One announced job was looked for, and nothing else.
    mutating func lookedForOne(found: Bool, now: ContinuousClock.Instant) {
        if found { lastFind = now }
        // Somebody else has it, or it isn't what it was.
        mustLook = mustLook || !found
    }

    /// The database has taken note.
    mutating func attended(_ isAttending: Bool, now: ContinuousClock.Instant) {
        self.isAttending = isAttending
        guard isAttending else { return }
        (mustLook, mustSearch) = (true, true)
        lookStep = PollPlan.firstLookStep
        nextLook = now + lookStep
    }

    /// A look asked for `request` and brought `claimed`.
    /// - Parameter began: What `lookBegins` gave.
    /// - Returns: What it was to find, did not, and may be there nevertheless: the next look is for it.
    @discardableResult
    mutating func looked(
        for request: ClaimRequest, claimed: [ClaimedJob], now: ContinuousClock.Instant, began: UInt64 = .max
    ) -> [DueAnnouncement] {
        var byQueue: [String: Int] = [:]
        for job in claimed { byQueue[job.job.queue, default: 0] += 1 }
        let named = Set(request.queues.map(\.name))
        let others = byQueue.filter { !named.contains($0.key) }.values.reduce(0, +)
        let isFull = claimed.count >= request.limit
        let hasSuspect = claimed.contains(where: \.isSuspect)
        let isFullOfType = request.isFullOfType(claimed)
        // Where fewer came than were asked for, nothing is left: the next insert will say so.
        mustLookWhenFreed =
            isFull || !request.takesSuspect || hasSuspect || isFullOfType
            || request.queues.contains { ($0.name == "*" ? others : byQueue[$0.name] ?? 0) >= $0.free }
        // Suspects and jobs of full types that were passed over took up the places of others in this look; the next leaves
        // them out.
        mustLook = mustLook || (isFull && !claimed.isEmpty) || hasSuspect || isFullOfType
        if !claimed.isEmpty { lastFind = now }
        let told = notes
        // With room left there is nothing more of what was told before it began.
        notes.removeAll { note in
            isFull ? claimed.contains { $0.job.id == note.announcement.job } : note.number <= began
        }
        if lastDueLook?.isUnderway == true {
            lastDueLook?.isUnderway = false
            promptness.looked(found: !claimed.isEmpty, factorMax: PollPlan.latenessFactorMax)
        }
        planNextLook(now: now)
        // Somebody else may have locked what it was told of, and then not taken it: no more of its type may run there, or
        // another queue's job came first.
        guard claimed.isEmpty, !isFull, notes.count < told.count else { return [] }
        if nextLook == nil { (lookStep, nextLook) = (PollPlan.lastLookStep, now + PollPlan.restAfterVain) }
        return told.filter { $0.number <= began }.map(\.announcement)
    }

    /// What a careful look told, after `looked`.
    mutating func lookedCarefully(_ answer: CarefulAnswer, now: ContinuousClock.Instant) {
        if answer.leftSome { mustLookWhenFreed = true }
        // It may have been cut short by its own bounds: who comes next is only known after another look.
        if answer.leftSome, !answer.claimed.isEmpty { mustLook = true }
        nextChance = answer.nextChance.map { now + $0 + PollPlan.restAfterChance }
    }

    /// Part of the queues has not been looked at.
    mutating func mustLookAgain() { mustLook = true }

    private mutating func planNextLook(now: ContinuousClock.Instant) {
        if isEager {
            isEager = now - lastFind <= PollPlan.eagerPatience
            nextLook = isEager ? now + PollPlan.eagerPause : nil
        } else if let nextLook, now >= nextLook {
            lookStep *= 5
            self.nextLook = lookStep <= PollPlan.lastLookStep ? now + lookStep : nil
        }
    }

    /// The timer's look has been answered.
    /// - Parameter pause: Until the next one; there is none while stale jobs are left.
    mutating func polled(isReapingDone: Bool, now: ContinuousClock.Instant, pause: Duration) {
        nextPoll = !isReapingDone ? now : mustPoll ? now + PollPlan.restBetweenPolls : now + pause
        lastPoll = now
        nextSearch = now + PollPlan.restBetweenSearches
    }
}
