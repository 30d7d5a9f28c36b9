import JobWorker
import Logging
import ServiceLifecycle
import Systemd

/// Tells systemd when the worker is ready, what it does and that it lives.
///
/// Pings prove that the worker's loops turn: one that hangs stops them, and STATUS names it first. A loop
/// that waits for the database within its deadline turns.
struct SystemdReporter: Service {
    let notifier: Notifier
    let watchdog: Watchdog
    let worker: any WorkerControl
    /// Whether the control plane's socket is there.
    let isServing: @Sendable () -> Bool
    let logger: Logger
    /// systemd's limits are moved this far ahead while starting or stopping takes its time.
    fileprivate static let leap = Duration.seconds(30)
    private static let tick = Duration.seconds(1)

    func run() async throws {
        guard notifier.isActive else {
            try? await gracefulShutdown()
            return
        }
        let teller = Teller(reporter: self)
        // It is asked to stop after the worker has ended.
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    // Readiness and losses are told at once.
                    for await _ in worker.state.transitions { await teller.look() }
                }
                group.addTask {
                    while !Task.isCancelled {
                        await teller.look()
                        try? await Task.sleep(for: Self.tick)
                    }
                }
            }
        }
        notifier.status("Stopped")
    }

    /// What has been told so far.
    private actor Teller {
        private let reporter: SystemdReporter
        private var isReady = false
        private var isStopping = false
        private var nextPing = ContinuousClock.now
        private var nextExtension = ContinuousClock.now

        init(reporter: SystemdReporter) { self.reporter = reporter }

        func look() {
            let now = ContinuousClock.now
            let worker = reporter.worker
            let snapshot = worker.state.snapshot
            let stuck = worker.state.stuckLoops(now: now)
            reporter.notifier.status(
                StatusText(
                    snapshot: snapshot, running: worker.runningCount, maxConcurrent: worker.configuration.maxConcurrent,
                    stuck: stuck
                ).line)
            switch snapshot.phase {
            case .connecting, .awaitingMigration: extendTimeout(now)
            case .working where isReady: break
            case .working:
                guard reporter.isServing() else { break }
                reporter.notifier.ready()
                isReady = true
            case .draining, .stopped:
                if !isStopping {
                    reporter.notifier.stopping()
                    // What was said for the start holds no longer.
                    nextExtension = now
                }
                isStopping = true
                extendTimeout(now)
            }
            ping(now, stuck: stuck)
        }

        private func extendTimeout(_ now: ContinuousClock.Instant) {
            guard now >= nextExtension else { return }
            reporter.notifier.extendTimeout(SystemdReporter.leap)
            nextExtension = now + SystemdReporter.leap / 6
        }

        private func ping(_ now: ContinuousClock.Instant, stuck: [WorkerState.Loop]) {
            guard let interval = reporter.watchdog.interval, now >= nextPing else { return }
            nextPing = now + interval / 2
            guard stuck.isEmpty else {
                reporter.logger.log(
                    .loopStuck,
                    metadata: ["LOOPS": "\(stuck.map(\.rawValue).joined(separator: ", "))"])
                return
            }
            reporter.notifier.watchdogPing()
        }
    }
}
