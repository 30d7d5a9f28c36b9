import JobWorker
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// SIGTERM and SIGINT stop the worker, a second one makes it hurry; SIGHUP reads the settings again.
struct SignalHandling: Service {
    let worker: JobWorker
    let logger: Logger
    /// Told the signal's name.
    let stop: @Sendable (String) async -> Void
    let reload: @Sendable () async -> Void

    func run() async throws {
        // Trapped before anything can take long: a SIGTERM while starting ends the start.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        await cancelWhenGracefulShutdown {
            var isStopping = false
            for await signal in signals {
                switch signal {
                case .sighup:
                    await reload()
                case _ where isStopping:
                    logger.log(.drainHurried, metadata: ["SIGNAL": "\(signal)"])
                    worker.hurry()
                default:
                    isStopping = true
                    logger.log(.drainBegun, metadata: ["SIGNAL": "\(signal)"])
                    // Told here, as the order in which services stop must not delay it.
                    worker.stop()
                    await stop("\(signal)")
                }
            }
        }
    }
}
