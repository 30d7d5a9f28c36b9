/// What the control plane asks of a worker in the same process.
package protocol WorkerControl: Sendable {
    /// What it does now.
    var state: WorkerState { get }
    var configuration: WorkerConfiguration { get }
    /// Runs of this process, those whose outcome is being stored among them.
    var runningCount: Int { get }

    /// Looks at the queue now, then waits for the jobs it claimed and for those that ran here already.
    ///
    /// - Parameter limit: How long to wait for them; what runs on then is counted as running.
    func pollNow(waitingAtMost limit: Duration) async -> PollReport
}

/// What came of a look at the queue that somebody asked for.
package struct PollReport: Sendable, Hashable {
    /// Claimed since the look before, by this one included.
    package var claimed = 0
    package var completed = 0
    package var retried = 0
    package var failed = 0
    /// Still running when the report was made.
    package var running = 0
    /// Every slot was taken, so nothing could be claimed.
    package var isSaturated = false
    /// Why nothing could be looked at: the database is away, or the worker is stopping.
    package var refusal: String?

    package init() {}
}
