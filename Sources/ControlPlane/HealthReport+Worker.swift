package import JobWorker
package import Postgres

extension HealthReport {
    /// - Parameters:
    ///   - worker: `nil` where none runs in this process.
    ///   - now: By the clock on the wall, for the reader; ages are measured by `instant`.
    ///   - isForOperator: Whether the reasons may quote the database's errors, which name hosts and users.
    package init(
        worker: WorkerObservation?, service: ServiceIdentity, now: Timestamp, instant: ContinuousClock.Instant,
        isForOperator: Bool = false
    ) {
        let findings =
            worker.map { Finding.all(of: $0, instant: instant, quotesErrors: isForOperator) }
            ?? [Finding(.unhealthy, "No worker runs in this process.")]
        status = findings.map(\.status).max() ?? .healthy
        // A stable order: as found, but what is worse first.
        reasons = [Status.unhealthy, .degraded].flatMap { status in
            findings.filter { $0.status == status }.map(\.sentence)
        }
        workerExists = worker != nil
        workerID = worker?.configuration.workerID
        timestamp = now
        environment = Environment(region: service.region, env: service.environment)
        version = service.version
        uptimeSeconds = max(0, Int((instant - service.startedAt).components.seconds))
        running = worker?.running ?? 0
        maxConcurrent = worker?.configuration.maxConcurrent ?? 0
        queues = worker?.configuration.queues.map(\.name) ?? []
        lastPollAt = worker?.snapshot.lastPollAt
        database = Database(
            isConnected: worker?.snapshot.isConnected ?? false,
            latencyMilliseconds: worker?.snapshot.databaseLatency.map { ($0 / .microseconds(10)).rounded() / 100 },
            isListening: worker?.snapshot.isListening ?? false)
    }
}

/// Which service this is, for those who watch many.
package struct ServiceIdentity: Sendable, Hashable {
    package var region: String
    package var environment: String
    package var version: String
    package var startedAt: ContinuousClock.Instant

    package init(region: String, environment: String, version: String, startedAt: ContinuousClock.Instant = .now) {
        self.region = region
        self.environment = environment
        self.version = version
        self.startedAt = startedAt
    }
}

/// What is known of a worker at one moment.
package struct WorkerObservation: Sendable {
    package var snapshot: WorkerState.Snapshot
    package var configuration: WorkerConfiguration
    package var running: Int
    /// Loops that broke their promise to turn.
    package var stuckLoops: [WorkerState.Loop]

    package init(
        snapshot: WorkerState.Snapshot, configuration: WorkerConfiguration, running: Int = 0,
        stuckLoops: [WorkerState.Loop] = []
    ) {
        self.snapshot = snapshot
        self.configuration = configuration
        self.running = running
        self.stuckLoops = stuckLoops
    }

    package init(of worker: some WorkerControl, instant: ContinuousClock.Instant) {
        self.init(
            snapshot: worker.state.snapshot, configuration: worker.configuration, running: worker.runningCount,
            stuckLoops: worker.state.stuckLoops(now: instant))
    }
}
