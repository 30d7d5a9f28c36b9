import JobWorker
import Logging
import Metrics
import ServiceLifecycle
import Settings
import Telemetry

/// Figures on their way to a DogStatsD server, where `WORKER_STATSD` names one.
struct StatsdReporting: Sendable {
    private let sender: StatsdSender

    /// `nil` where none is wanted, or no thread is to be had for it.
    init?(_ configuration: Configuration, identity: Identity, version: String, logger: Logger) {
        let destination: StatsdDestination
        let address: String
        switch configuration[Catalog.statsd] {
        case nil: return nil
        case .udp(let place)?:
            destination = .udp(host: place.host, port: place.port)
            address = place.description
        case .socket(let path)?:
            destination = .socket(path: path)
            address = path
        }
        // Gauges of several workers on one host must not overwrite each other: the server knows the host alone.
        let tags = [
            ("instance", identity.instance), ("env", configuration[Catalog.environment]),
            ("region", configuration[Catalog.region]), ("version", version),
        ]
        let sender = StatsdSender.start(to: destination, tags: tags) { event in
            switch event {
            case .dropped(let count): Counter(label: MetricCatalog.statsdDropped.name).increment(by: count)
            case .lost(let reason): logger.log(.statsdLost, metadata: ["ADDRESS": "\(address)", "ERROR": "\(reason)"])
            case .found: logger.log(.statsdFound, metadata: ["ADDRESS": "\(address)"])
            }
        }
        guard let sender else {
            logger.log(.statsdLost, metadata: ["ADDRESS": "\(address)", "ERROR": "no descriptor or thread is left"])
            return nil
        }
        self.sender = sender
    }

    var observing: MetricRegistry.Observing {
        { [sender] name, labels in sender.observer(name, labels) }
    }

    func stop() async { await sender.stop() }
}

/// Looks the gauges up now and then, as nobody asks for them where figures are sent.
struct StatsdFigures: Service {
    let figures: Figures
    private static let interval = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await figures.update()
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}
