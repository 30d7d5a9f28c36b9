/// What is looked for.
package enum AlertRule: String, Sendable, Hashable, CaseIterable {
    /// Jobs of a type were set aside as dead letters lately.
    case deadLetter = "dead_letter"
    /// Many jobs of a queue are due.
    case queueDepth = "queue_depth"
    /// Nothing has been completed in a queue for long, while jobs are due.
    case stalled
    /// A worker fell silent without having said that it stops.
    case workerLost = "worker_lost"
}

/// From when on a situation is worth an alert to administrators. All workers of a database are to have the same.
package struct AlertRules: Sendable, Hashable {
    /// Between two looks, over all workers.
    package var interval: Duration
    /// So many dead letters of a type within an hour; 0 for no alert.
    package var deadLetters: Int
    /// So many due jobs of a queue; 0 for no alert.
    package var queueDepth: Int
    /// So long nothing was completed in a queue while a job was due; zero for no alert.
    package var stalledAfter: Duration
    /// Whether a worker that falls silent is worth one.
    package var tellsLostWorkers: Bool

    package init(
        interval: Duration = .seconds(15), deadLetters: Int = 1, queueDepth: Int = 10_000,
        stalledAfter: Duration = .seconds(1800), tellsLostWorkers: Bool = true
    ) {
        self.interval = interval
        self.deadLetters = deadLetters
        self.queueDepth = queueDepth
        self.stalledAfter = stalledAfter
        self.tellsLostWorkers = tellsLostWorkers
    }
}
