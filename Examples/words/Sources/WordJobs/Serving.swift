import JobWorker
import Logging
import ServiceLifecycle

/// A worker among the services of a server of one's own; stops cleanly on SIGTERM.
public func serve(database: String) async throws {
    let worker = try JobWorker(database: database, processors: [CountWords()])
    let services = ServiceGroup(
        services: [worker], gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "words"))
    try await services.run()
}
