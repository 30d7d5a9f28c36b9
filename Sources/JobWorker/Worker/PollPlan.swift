/// When the poller must look at the queue, and how: the timer, those who ask for a look, wake-ups and freed slots.
///
/// A value: it is told what happens, and says what to do next.
struct PollPlan: Sendable {
    enum Action: Sendable, Hashable {
        /// The timer's look: presence, reaping and a claim in one statement.
        case poll
        /// Only a claim.
        case claim
        /// Nothing before this moment, unless something happens.
        case wait(until: ContinuousClock.Instant)
    }

    /// Something may be due that nobody has looked for.
    private(set) var mustLook = true
    /// The last look was cut short by what runs here: once a slot is free there may be more.
    private(set) var mustLookWhenFreed = false
    private(set) var nextPoll: ContinuousClock.Instant

    /// The first look is due at once.
    init(now: ContinuousClock.Instant) { nextPoll = now }

    /// - Parameters:
    ///   - isAsked: Whether somebody waits for a look that begins from now on.
    ///   - free: Free slots.
    func action(now: ContinuousClock.Instant, isAsked: Bool, free: Int) -> Action {
        if now >= nextPoll || isAsked { return .poll }
        return mustLook && free > 0 ? .claim : .wait(until: nextPoll)
    }

    /// Something may be due.
    mutating func wake() { mustLook = true }

    /// A slot has become free: worth a look if the last one left something behind.
    /// - Returns: Whether to look.
    mutating func slotFreed() -> Bool {
        mustLook = mustLook || mustLookWhenFreed
        return mustLook
    }

    /// What comes from now on isn't seen by the look that begins.
    mutating func lookBegins() { mustLook = false }

    mutating func lookFailed() { mustLook = true }

    /// A look asked for `request` and brought `claimed`.
    mutating func looked(for request: ClaimRequest, claimed: [ClaimedJob]) {
        let byQueue = claimed.reduce(into: [String: Int]()) { $0[$1.job.queue, default: 0] += 1 }
        let isFull = claimed.count >= request.limit
        // Where fewer came than were asked for, nothing is left: the next insert will say so.
        mustLookWhenFreed =
            isFull || !request.takesSuspect || claimed.contains(where: \.isSuspect)
            || request.queues.contains { (byQueue[$0.name] ?? 0) >= $0.free }
        // Suspects that were passed over took up the places of others in this look; the next leaves them out.
        mustLook = mustLook || (isFull && !claimed.isEmpty) || claimed.contains(where: \.isSuspect)
    }

    /// The timer's look has been answered.
    /// - Parameter pause: Until the next one; there is none while stale jobs are left.
    mutating func polled(isReapingDone: Bool, now: ContinuousClock.Instant, pause: Duration) {
        nextPoll = isReapingDone ? now + pause : now
    }
}

extension ClaimRequest {
    /// As many jobs as there are free slots, in all and for each queue.
    init(_ configuration: WorkerConfiguration, jobTypes: [String], runs: Runs) {
        let (free, counts) = (runs.free, runs.countByQueue)
        let named = Set(configuration.queues.map(\.name))
        let shares = configuration.queues.map { queue in
            let busy =
                queue.name == "*"
                ? counts.filter { !named.contains($0.key) }.values.reduce(0, +) : counts[queue.name] ?? 0
            let left = queue.maxConcurrent.map { max(0, $0 - busy) } ?? free
            return QueueShare(name: queue.name, free: min(free, left))
        }
        self.init(
            workerID: configuration.workerID, jobTypes: jobTypes, queues: shares, limit: free,
            takesSuspect: !runs.hasSuspect, staleAfter: configuration.staleAfter)
    }
}
