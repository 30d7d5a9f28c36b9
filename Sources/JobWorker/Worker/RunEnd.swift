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

/// Who waits for the end of a processor's task.
protocol ProcessorEndWaiter: Sendable {
    /// Called once, by whoever ends the run.
    func ended(_ end: ProcessorEnd)
}
