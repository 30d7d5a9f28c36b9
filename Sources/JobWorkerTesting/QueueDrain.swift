public import JobWorker
import Logging

/// Runs the due jobs of a database here and now, until none is left: for tests that add jobs and look at what came of
/// them.
///
///     let done = try await QueueDrain(database: database.url, processors: [CountWords()]).run()
///     #expect(done == DrainedJobs(completed: 1))
public struct QueueDrain: Sendable {
    /// The queues to drain; `*` for all.
    public var queues = ["*"]
    /// Whether a failed attempt is followed by the next at once; otherwise its job is left to wait for its delay.
    public var retriesAtOnce = false
    /// Most jobs at once.
    public var maxConcurrent = 5
    /// After it what still runs is given back.
    public var timeLimit = Duration.seconds(60)
    private let database: String
    private let processors: [any JobProcessor]

    /// - Parameters:
    ///   - database: What libpq accepts as a connection string.
    ///   - processors: The job types to run; jobs of others stay.
    public init(database: String, processors: [any JobProcessor]) {
        self.database = database
        self.processors = processors
    }

    /// - Throws: `DuplicateJobType`; `WorkerRefusal` where the schema is newer; `QueueDrain.Failure`.
    @discardableResult
    public func run() async throws -> DrainedJobs {
        let worker = try makeWorker()
        let running = Task { try await worker.run() }
        do {
            try await claimAll(worker)
        } catch {
            worker.hurry()
            try await running.value
            throw error
        }
        worker.hurry()
        try await running.value
        return DrainedJobs(worker.state.snapshot.counts)
    }

    private func makeWorker() throws -> JobWorker::JobWorker {
        var configuration = WorkerConfiguration()
        configuration.queues = queues.map { WorkerConfiguration.Queue(name: $0) }
        configuration.maxConcurrent = maxConcurrent
        configuration.pollInterval = .seconds(300)
        if retriesAtOnce { configuration.retry = RetryPolicy(delayBase: .zero, delayMax: .zero) }
        return try JobWorker::JobWorker(
            database: database, processors: processors, configuration: configuration,
            logger: Logger(label: "drain", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    private func claimAll(_ worker: JobWorker::JobWorker) async throws {
        let end = ContinuousClock.now + timeLimit
        try await waitUntilWorking(worker, until: end)
        while ContinuousClock.now < end {
            let claimed = worker.state.snapshot.counts.claimed
            // What ends while the look is on its way may be due again behind it.
            let wasIdle = worker.isIdle
            let report = await worker.pollNow(waitingAtMost: end - .now)
            if let refusal = report.refusal { throw Failure(description: refusal) }
            // Rows that another claim of this worker just takes are passed over by this look.
            if wasIdle, worker.isIdle, worker.state.snapshot.counts.claimed == claimed { return }
        }
        throw Failure(description: "there were still jobs after \(timeLimit)")
    }

    private func waitUntilWorking(_ worker: JobWorker::JobWorker, until end: ContinuousClock.Instant) async throws {
        let timer = Task {
            try await Task.sleep(until: end)
            worker.hurry()
        }
        defer { timer.cancel() }
        for await _ in worker.state.transitions {
            switch worker.state.snapshot.phase {
            case .working: return
            case .awaitingMigration:
                throw Failure(description: "the database's schema is older than this library: run 'jobworker migrate'")
            case .connecting, .draining, .stopped: continue
            }
        }
        throw Failure(description: "the worker stopped: \(worker.state.snapshot.databaseError ?? "no reason is known")")
    }

    /// Why the queues could not be drained.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }
}

/// What became of the attempts of a drain.
public struct DrainedJobs: Sendable, Hashable {
    public var completed: Int
    /// Failed, and to be tried again.
    public var retried: Int
    /// Failed for good.
    public var failed: Int
    /// Due later, as the processor asked.
    public var snoozed: Int

    public init(completed: Int = 0, retried: Int = 0, failed: Int = 0, snoozed: Int = 0) {
        self.completed = completed
        self.retried = retried
        self.failed = failed
        self.snoozed = snoozed
    }

    init(_ counts: WorkerState.Counts) {
        self.init(
            completed: counts.completed, retried: counts.retried, failed: counts.failed, snoozed: counts.snoozed)
    }
}
