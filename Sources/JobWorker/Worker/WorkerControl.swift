/// What the control plane asks of a worker in the same process.
public protocol WorkerControl: Sendable {
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
public struct PollReport: Sendable, Hashable {
    /// Claimed since the look before, by this one included.
    public var claimed = 0
    public var completed = 0
    public var retried = 0
    public var failed = 0
    /// Still running when the report was made.
    public var running = 0
    /// Every slot was taken, so nothing could be claimed.
    public var isSaturated = false
    /// Why nothing could be looked at: the database is away, or the worker is stopping.
    public var refusal: String?

    public init() {}
}
