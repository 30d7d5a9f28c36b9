import Support

@testable import JobWorker

/// A processor at work on one attempt.
final class Execution {
    enum Fate {
        case returns, fails, failsForGood, snoozes
        /// Works until it is told to stop.
        case hangs
        /// Doesn't hear that it is told to stop.
        case deaf
        /// Its result is one that the database refuses.
        case unstorable
    }

    let held: JobsTable.Held
    let claimed: ClaimedJob
    unowned let worker: SimulatedWorker
    let startedAt: Int
    let deadline: Int
    let fate: Fate
    var isTold = false
    private(set) var hasEnded = false
    /// Whether its end is its own, and nobody else's wish.
    private(set) var isOwnEnd = false
    private(set) var hasReturned = false
    /// The process was told that the claim is lost, before the outcome stood.
    var isKnownLost = false
    var isSettled = false
    /// Nobody waits for it but its slot.
    var keepsSlot = false

    init(_ claimed: ClaimedJob, held: JobsTable.Held, worker: SimulatedWorker, fate: Fate, now: Int, deadline: Int) {
        self.claimed = claimed
        self.held = held
        self.worker = worker
        self.fate = fate
        self.deadline = deadline
        startedAt = now
    }

    /// The process it ran in is gone.
    func die() { hasEnded = true }

    func end(_ end: ProcessorEnd, isOwn: Bool) {
        hasEnded = true
        isOwnEnd = isOwn
        if case .returned = end { hasReturned = true }
    }
}
