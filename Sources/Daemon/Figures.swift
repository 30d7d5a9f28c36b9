import JobWorker
import Logging
import Metrics
import Postgres
import Telemetry

/// All figures of the process as they are shown: those that are counted as things happen, and those that are looked
/// up when somebody asks.
actor Figures {
    /// The database is asked at most so often, however many ask here.
    private static let databaseInterval = Duration.seconds(5)

    private let registry: MetricRegistry
    private let worker: any WorkerControl
    private let store: JobStore
    private let version: String
    private let process = ProcessFigures()
    private let logger: Logger
    private var askedAt: ContinuousClock.Instant?

    init(registry: MetricRegistry, worker: any WorkerControl, store: JobStore, version: String, logger: Logger) {
        self.registry = registry
        self.worker = worker
        self.store = store
        self.version = version
        self.logger = logger
    }

    /// The text for Prometheus.
    func text() async -> String {
        await update()
        return PrometheusText.write(registry)
    }

    /// Looks up what isn't counted as it happens.
    func update() async {
        let snapshot = worker.state.snapshot
        registry.setGauge(MetricCatalog.running.name, Double(worker.runningCount))
        registry.setGauge(MetricCatalog.maxConcurrent.name, Double(worker.configuration.maxConcurrent))
        registry.setGauge(MetricCatalog.databaseConnected.name, snapshot.isConnected ? 1 : 0)
        registry.setGauge(MetricCatalog.buildInfo.name, labels: [("version", version)], 1)
        process.update(registry)
        // What a worker knew before it lost its database must not speak for the others.
        if snapshot.isConnected { await askDatabase() } else { forgetDatabase() }
    }

    private func forgetDatabase() {
        for metric in [
            MetricCatalog.queueDepth, MetricCatalog.oldestDue, MetricCatalog.unserved, MetricCatalog.openAlerts,
            MetricCatalog.heldByLimits,
        ] {
            registry.replaceGauge(metric.name, [])
        }
    }

    private func askDatabase() async {
        guard askedAt.map({ $0 + Self.databaseInterval <= .now }) ?? true else { return }
        askedAt = .now
        do throws(PostgresError) {
            let queues = try await store.queues()
            registry.replaceGauge(
                MetricCatalog.queueDepth.name,
                queues.flatMap { queue in
                    [
                        ([("queue", queue.name), ("status", "pending")], Double(queue.depth)),
                        ([("queue", queue.name), ("status", "processing")], Double(queue.processing)),
                    ]
                })
            registry.replaceGauge(
                MetricCatalog.oldestDue.name,
                queues.map { queue in
                    let age = queue.oldestDueAt.map { queue.asOf.duration(since: $0) } ?? .zero
                    return ([("queue", queue.name)], age / .seconds(1))
                })
            let alerts = try await store.openAlertCounts()
            registry.replaceGauge(
                MetricCatalog.openAlerts.name,
                AlertRule.allCases.map { ([("rule", $0.rawValue)], Double(alerts[$0] ?? 0)) })
            registry.replaceGauge(
                MetricCatalog.heldByLimits.name,
                try await store.heldByLimits().prefix(200).map { ([("limit", $0.name)], Double($0.jobs)) })
            let unserved = try await store.unservedTypes(silence: worker.configuration.staleAfter)
            let byType = unserved.prefix(200).reduce(into: [String: Double]()) {
                $0[$1.type, default: 0] += Double($1.count)
            }
            registry.replaceGauge(
                MetricCatalog.unserved.name,
                byType.sorted { $0.key < $1.key }.map { ([("job_type", $0.key)], $0.value) })
        } catch {
            forgetDatabase()
            logger.debug("the database can't be asked for figures", metadata: ["ERROR": "\(error)"])
        }
    }
}

extension Figures {
    /// Shows these from the start, as 0: an alert sees no increase in a figure that has just appeared.
    static func begin() {
        _ = Counter(label: MetricCatalog.statsdDropped.name)
        _ = Counter(label: MetricCatalog.polls.name, dimensions: [("reason", "timer")])
        for level in Logger.Level.allCases {
            _ = Counter(label: MetricCatalog.suppressedLines.name, dimensions: [("level", level.rawValue)])
        }
    }
}

extension MetricRegistry {
    /// With every figure of the catalogue, and those of the process.
    convenience init(observing: Observing?) {
        self.init(
            MetricCatalog.all.map {
                Description(
                    name: $0.name, kind: Description.Kind(rawValue: $0.kind.rawValue) ?? .gauge, help: $0.help,
                    buckets: $0.buckets)
            } + ProcessFigures.descriptions, observing: observing)
    }
}
