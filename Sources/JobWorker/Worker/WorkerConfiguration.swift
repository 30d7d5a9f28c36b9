import Glibc

/// What one worker process serves, and its limits.
public struct WorkerConfiguration: Sendable {
    /// A queue to serve; `*` stands for every queue not named otherwise.
    public struct Queue: Sendable, Hashable {
        public let name: String
        /// Most jobs of it at once in this process; `nil` for the worker's own limit.
        public let maxConcurrent: Int?

        public init(name: String, maxConcurrent: Int? = nil) {
            self.name = name
            self.maxConcurrent = maxConcurrent
        }
    }

    /// Unique per process, at most 100 characters; stands in `jobs.worker_id`.
    public var workerID: String
    /// Stable name of this worker on its host: its successor takes its jobs back at once.
    package var instance = "default"
    package var host = ""
    package var machineID = ""
    /// Whether this process holds the lock of its instance, so that any predecessor is dead for sure.
    package var holdsInstanceLock = false
    package var version = ""
    package var pid = 0
    public var queues = [Queue(name: "default")]
    public var maxConcurrent = 5
    /// Longest pause between two looks at the queue.
    public var pollInterval = Duration.seconds(5)
    /// Longest time for an attempt, where its job says nothing else.
    public var jobTimeout = Duration.seconds(900)
    public var heartbeatInterval = Duration.seconds(15)
    /// Silence after which a running job is taken back.
    public var staleAfter = Duration.seconds(120)
    /// Time for running jobs to end after a stop was asked for; then they are given back.
    public var shutdownTimeout = Duration.seconds(120)
    /// Time for a processor to end after its task was cancelled, before the process stops waiting for it.
    public var cancellationGrace = Duration.seconds(10)
    public var retry = RetryPolicy()
    /// Whether webhooks may go to private and loopback addresses.
    package var webhooksReachPrivate = false
    /// So many failures of a webhook's endpoint one after the other disable it.
    package var webhookFailuresMax = 100
    /// For so long the deliveries of webhooks are kept once they are settled.
    package var webhookKeep = Duration.seconds(30 * 86_400)
    /// Lowest level of the rows the worker itself writes to `job_logs`; `nil` for none.
    public var lifecycleLogs: JobLogLevel? = .info

    /// For how many days finished jobs are kept, by status; 0, and a status that is missing, keep them for good.
    package var retentionDays: [String: Int] = [:]
    /// Whether what is kept no longer in `jobs` stays in `jobs_archive`.
    package var archives = false
    /// What administrators are alerted to.
    package var alerts = AlertRules()
    /// From the start to the first look at what is old.
    package var retentionDelay = Duration.seconds(Double.random(in: 30...90))

    package init(workerID: String) {
        self.workerID = workerID
    }

    /// - Parameter workerID: `nil` for one made of host, process and chance.
    public init(workerID: String? = nil) {
        let host = WorkerConfiguration.hostName()
        let pid = Int(getpid())
        self.workerID = workerID ?? "\(host.prefix(70))-\(pid)-\(String(UInt32.random(in: .min ... .max), radix: 16))"
        self.host = host
        self.pid = pid
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
