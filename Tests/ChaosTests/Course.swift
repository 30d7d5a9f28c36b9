/// What one run is to be, and the times its workers live by: short, so that minutes see many leases run out.
struct Course: Sendable {
    var minutes = 1.0
    var seed: UInt64 = 1
    var workers = 4
    /// Jobs a second, all clients together.
    var rate = 20.0
    /// Mean time between two faults.
    var faultPause = Duration.milliseconds(1000)
    var slots = 8

    static let heartbeat = 0.5
    static let stale = 3.0
    static let retryBase = 1.0
    static let retryMax = 8.0
    static let shutdown = 2.0
    /// The daemon's own: the time for a processor to end after it was told to.
    static let grace = 10.0
    /// Longest time to become quiet once everything is healed: each worker runs its suspects one after the other.
    static let quietWithin = Duration.seconds(300)

    func environment(workerID: String, instance: String, directory: String, database: String) -> [String: String] {
        [
            "DATABASE_URL": database, "RUNTIME_DIRECTORY": directory, "WORKER_ID": workerID,
            "WORKER_INSTANCE": instance, "WORKER_QUEUES": "default,narrow:2,*", "WORKER_MAX_CONCURRENT": "\(slots)",
            "WORKER_POLL_INTERVAL_MS": "500", "WORKER_HEARTBEAT_SECONDS": "\(Course.heartbeat)",
            "WORKER_STALE_AFTER_SECONDS": "\(Course.stale)", "WORKER_RETRY_BASE_SECONDS": "\(Course.retryBase)",
            "WORKER_RETRY_MAX_SECONDS": "\(Course.retryMax)", "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "\(Course.shutdown)",
            "WORKER_JOB_TIMEOUT_SECONDS": "30", "WORKER_JOB_LOGS": "debug", "WORKER_LOG_FORMAT": "json",
            "WORKER_LOG_LEVEL": "info", "CHAOS_LEDGER": directory + "/ledger",
        ]
    }
}
