/// The longest times of attempts.
struct Timeouts: Sendable {
    let usual: Duration
    let ofTypes: [String: Duration]

    func timeout(of job: Job) -> Duration { job.timeout ?? ofTypes[job.type] ?? usual }
}

/// What is known of the runs of this process, and what follows from it. A value: it takes the time as an
/// argument and says whose task is to be cancelled; `RunningJobs` does it.
struct Runs: Sendable {
    struct Run: Sendable {
        let queue: String
        let type: String
        let isSuspect: Bool
        let deadline: ContinuousClock.Instant
        /// When the database last confirmed the claim, measured from before it was asked.
        fileprivate(set) var confirmedAt: ContinuousClock.Instant
        fileprivate(set) var end: ProcessorEnd?
        fileprivate(set) var stopReason: StopReason?
        fileprivate(set) var stoppedAt: ContinuousClock.Instant?
        /// Its outcome is being stored: nothing stops it any more.
        fileprivate(set) var isSettling = false
    }

    /// Most runs at once.
    var limit: Int
    /// Slots kept free for claims on their way.
    private(set) var reserved = 0
    private var runs: [Claim: Run] = [:]
    private var suspects = 0

    init(limit: Int) { self.limit = limit }

    subscript(claim: Claim) -> Run? { runs[claim] }

    var count: Int { runs.count }
    var free: Int { free(without: 0) }
    var isEmpty: Bool { runs.isEmpty }
    /// In no particular order.
    var claims: [Claim] { Array(runs.keys) }
    /// Whether a suspect runs that is none of these.
    func hasSuspect(without leaving: [Claim]) -> Bool {
        suspects > 0 && suspects > leaving.count { runs[$0]?.isSuspect == true }
    }

    /// Slots that are free once so many runs are gone.
    func free(without leaving: Int) -> Int { max(0, limit - (runs.count - leaving) - reserved) }

    /// Runs of each queue, but for these.
    func countByQueue(without leaving: [Claim]) -> [String: Int] {
        var counts = runs.values.reduce(into: [:]) { $0[$1.queue, default: 0] += 1 }
        for claim in leaving { if let queue = runs[claim]?.queue { counts[queue, default: 0] -= 1 } }
        return counts
    }

    /// Runs of this type, but for these.
    func count(ofType type: String, without leaving: [Claim]) -> Int {
        runs.values.count { $0.type == type } - leaving.count { runs[$0]?.type == type }
    }

    mutating func reserve(_ slots: Int) { reserved += slots }
    mutating func release(_ slots: Int) { reserved -= slots }

    /// When the run is over its time; `nil` where it was told to stop already.
    func deadline(of claim: Claim) -> ContinuousClock.Instant? {
        guard let run = runs[claim], run.stopReason == nil else { return nil }
        return run.deadline
    }

    // MARK: The life of a run

    /// Counts the runs from now on; before any of them starts.
    ///
    /// Where the answer to the claim was so long on its way that another worker may have the jobs by now, the
    /// runs are stopped from the start.
    mutating func admit(
        _ claimed: [ClaimedJob], timeouts: Timeouts, staleAfter: Duration, askedAt: ContinuousClock.Instant,
        now: ContinuousClock.Instant
    ) {
        let isLate = askedAt + Runs.confirmedWithin(staleAfter) <= now
        for job in claimed {
            var run = Run(
                queue: job.job.queue, type: job.job.type, isSuspect: job.isSuspect,
                deadline: now + timeouts.timeout(of: job.job), confirmedAt: askedAt)
            if isLate {
                run.stopReason = .unconfirmed
                run.stoppedAt = now
            }
            if runs.updateValue(run, forKey: job.claim) == nil, job.isSuspect { suspects += 1 }
        }
    }

    /// A run is stopped when a quarter of its lease is left and the database hasn't confirmed it.
    private static func confirmedWithin(_ staleAfter: Duration) -> Duration { staleAfter * 3 / 4 }

    /// The task of this run has ended, or nobody waits for it any longer. The first word stands.
    /// - Returns: Whether this is it.
    mutating func end(_ claim: Claim, _ end: ProcessorEnd) -> Bool {
        // Out and in again: to change it in place costs an allocation, and each run ends and is settled.
        guard var run = runs[claim], run.end == nil else { return false }
        run.end = end
        runs[claim] = run
        return true
    }

    /// Stops runs; the first reason stays, but `lost` wins over all.
    /// - Returns: Those whose tasks are to be cancelled.
    mutating func stop(
        _ claims: some Sequence<Claim>, because reason: StopReason, now: ContinuousClock.Instant
    ) -> [Claim] {
        claims.filter { claim in
            guard let run = runs[claim], !run.isSettling, run.stopReason == nil || reason == .lost else { return false }
            runs[claim]?.stopReason = reason
            runs[claim]?.stoppedAt = run.stoppedAt ?? now
            return true
        }
    }

    /// From here on the run's outcome stands.
    /// - Returns: Why it was stopped, if it was.
    mutating func settle(_ claim: Claim) -> StopReason? {
        guard var run = runs[claim] else { return nil }
        run.isSettling = true
        runs[claim] = run
        return run.stopReason
    }

    /// Frees the run's slot.
    mutating func remove(_ claim: Claim) {
        if runs.removeValue(forKey: claim)?.isSuspect == true { suspects -= 1 }
    }

    // MARK: Heartbeats

    /// Takes in what the database said of these claims, asked at `askedAt`.
    /// - Returns: Those whose tasks are to be cancelled.
    mutating func hear(
        _ answer: HeartbeatAnswer, askedAt: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> [Claim] {
        // The lease counts from the moment of the question: the answer may have been long under way.
        for claim in answer.held { runs[claim]?.confirmedAt = askedAt }
        // One that was settled meanwhile is not lost: its outcome stands already.
        return stop(answer.cancelled, because: .cancelled, now: now) + stop(answer.lost, because: .lost, now: now)
    }

    /// Runs that have to be stopped, or given up, by now.
    struct Overdue: Sendable {
        /// Past their time.
        var timedOut: [Claim] = []
        /// Unconfirmed for too long.
        var unconfirmed: [Claim] = []
        /// Told to stop, and still there after the grace time.
        var deaf: [Claim] = []
        /// When to look again; `nil` while nothing runs.
        var next: ContinuousClock.Instant?
    }

    /// - Parameter staleAfter: The time of a lease.
    func overdue(now: ContinuousClock.Instant, staleAfter: Duration, grace: Duration) -> Overdue {
        let confirmedWithin = Runs.confirmedWithin(staleAfter)
        var overdue = Overdue()
        func look(at moment: ContinuousClock.Instant) {
            overdue.next = min(overdue.next ?? moment, moment)
        }
        // One that is being stored has nobody who could be deaf.
        for (claim, run) in runs where run.end == nil && !run.isSettling {
            if let stoppedAt = run.stoppedAt {
                if stoppedAt + grace <= now { overdue.deaf.append(claim) } else { look(at: stoppedAt + grace) }
            } else if run.deadline <= now {
                overdue.timedOut.append(claim)
                look(at: now + grace)
            } else if run.confirmedAt + confirmedWithin <= now {
                overdue.unconfirmed.append(claim)
                look(at: now + grace)
            } else {
                look(at: min(run.deadline, run.confirmedAt + confirmedWithin))
            }
        }
        return overdue
    }
}
