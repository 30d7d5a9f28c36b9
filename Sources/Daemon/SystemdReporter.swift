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
    let logger: Logger
    /// systemd's limits are moved this far ahead while starting or stopping takes its time.
    private static let leap = Duration.seconds(30)
    private static let tick = Duration.seconds(1)

    func run() async throws {
        guard notifier.isActive else {
            try? await gracefulShutdown()
            return
        }
        var isReady = false
        var isStopping = false
        var nextPing = ContinuousClock.now
        var nextExtension = ContinuousClock.now
        // Ends when the worker has: it is asked to stop after the worker.
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            let now = ContinuousClock.now
            let snapshot = worker.state.snapshot
            let stuck = worker.state.stuckLoops(now: now)
            notifier.status(text(snapshot, stuck: stuck))
            switch snapshot.phase {
            case .connecting, .awaitingMigration:
                extendTimeout(at: &nextExtension, now: now)
            case .working where !isReady:
                notifier.ready()
                isReady = true
            case .working: break
            case .draining, .stopped:
                if !isStopping { notifier.stopping() }
                isStopping = true
                extendTimeout(at: &nextExtension, now: now)
            }
            if let interval = watchdog.interval, now >= nextPing {
                if stuck.isEmpty {
                    notifier.watchdogPing()
                } else {
                    logger.critical("a loop hangs, systemd will end this process", metadata: ["LOOPS": "\(stuck.map(\.rawValue))"])
                }
                nextPing = now + interval / 2
            }
            await nextLook(at: min(now + Self.tick, nextPing), isStarting: !isReady)
        }
        notifier.status("Stopped")
    }

    private func text(_ snapshot: WorkerState.Snapshot, stuck: [WorkerState.Loop]) -> String {
        StatusText(
            snapshot: snapshot, running: worker.runningCount, maxConcurrent: worker.configuration.maxConcurrent,
            stuck: stuck
        ).line
    }

    private func extendTimeout(at next: inout ContinuousClock.Instant, now: ContinuousClock.Instant) {
        guard now >= next else { return }
        notifier.extendTimeout(Self.leap)
        next = now + Self.leap / 6
    }

    /// Soon while starting, so that readiness is told at once; else once a second.
    private func nextLook(at time: ContinuousClock.Instant, isStarting: Bool) async {
        let until = isStarting ? min(time, .now + .milliseconds(20)) : time
        try? await cancelWhenGracefulShutdown {
            try await Task.sleep(until: until, clock: .continuous)
        }
    }
}
