import Logging
import Postgres
import Synchronization

/// Makes the jobs of schedules at their times.
///
/// Each timer's look tells when the next schedule is due; until then this sleeps and asks nothing. Every worker does
/// so, a few milliseconds apart by chance, and the first one makes the job.
final class Ticker: Sendable {
    private let store: JobStore
    private let state: WorkerState
    private let logger: Logger
    private let wakeup = Wakeup()
    private let due = Mutex<ContinuousClock.Instant?>(nil)

    /// So many workers don't ask all at once.
    private static let spread = 0.0..<0.015
    private static let restBetweenBatches = Duration.milliseconds(20)

    init(store: JobStore, state: WorkerState, logger: Logger) {
        self.store = store
        self.state = state
        self.logger = logger
    }

    func stop() { wakeup.close() }

    /// What a look found.
    /// - Parameters:
    ///   - next: When the next schedule is due, by the database's clock; `nil` where there is none.
    ///   - now: The database's clock at that look.
    func hear(next: Timestamp?, now: Timestamp) {
        let moment = next.map { next in
            ContinuousClock.now + max(.zero, next.duration(since: now)) + .seconds(Double.random(in: Ticker.spread))
        }
        due.withLock { $0 = moment }
        wakeup.raise()
    }

    /// Ticks until `stop()` or the task's cancellation.
    func run() async {
        var backoff = Backoff()
        while !wakeup.isClosed, !Task.isCancelled {
            guard let moment = due.withLock({ $0 }) else {
                await wakeup.wait(until: .now + .seconds(86_400))
                continue
            }
            if moment > .now {
                await wakeup.wait(until: moment)
                continue
            }
            do throws(PostgresError) {
                try await tick()
                backoff.reset()
            } catch {
                if Task.isCancelled { break }
                if state.reportOutage(error) { logger.log(.databaseLost, metadata: ["ERROR": "\(error)"]) }
                // Sooner or later a look tells anew.
                let pause = ContinuousClock.now + backoff.next()
                due.withLock { $0 = max($0 ?? pause, pause) }
            }
        }
    }

    /// Moves on every schedule whose time has come.
    func tick() async throws(PostgresError) {
        let found = try await store.dueSchedules()
        let steps = found.schedules.map { ScheduleStep($0, now: found.now) }
        if !steps.isEmpty { try await take(steps) }
        // Those of a full batch that somebody else holds would come again at once.
        let soon = found.isCut ? found.now.advanced(by: Ticker.restBetweenBatches) : nil
        hear(next: (steps.map(\.next) + [found.next, soon]).compactMap(\.self).min(), now: found.now)
    }

    private func take(_ steps: [ScheduleStep]) async throws(PostgresError) {
        do throws(PostgresError) {
            report(try await store.tick(steps), of: steps)
        } catch {
            guard !error.isTransient else { throw error }
            // One of them is at fault, as with a check of the application's on its jobs; it says so and goes on.
            for step in steps { try await takeAlone(step) }
        }
    }

    private func takeAlone(_ step: ScheduleStep) async throws(PostgresError) {
        do throws(PostgresError) {
            report(try await store.tick([step]), of: [step])
        } catch {
            guard !error.isTransient else { throw error }
            var refused = step
            refused.ticks = []
            refused.error = "the database refused the job: \(error.message)"
            report(try await store.tick([refused]), of: [refused])
        }
    }

    private func report(_ outcomes: [ScheduleTick], of steps: [ScheduleStep]) {
        for outcome in outcomes {
            guard let step = steps.first(where: { $0.id == outcome.id }) else { continue }
            let who: Logger.Metadata = ["SCHEDULE": "\(step.name)", "SCHEDULE_ID": "\(step.id.text)"]
            state.metrics.ticked(added: outcome.added, isSkipped: outcome.isSkipped, isFailed: step.error != nil)
            if let error = step.error {
                logger.log(.scheduleFailed, metadata: who.merging(["ERROR": "\(error)"]) { $1 })
            } else if outcome.isSkipped {
                logger.log(.scheduleSkipped, metadata: who)
            } else if step.leavesOut {
                logger.log(.scheduleMissed, metadata: who)
            }
        }
    }
}
