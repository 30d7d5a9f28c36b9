import FoundationEssentials
import Logging
import Postgres
import Synchronization

/// Makes the jobs of schedules at their times.
///
/// Each timer's look tells when the next schedule is due; until then this sleeps and asks nothing. Every worker does
/// so, some milliseconds apart by chance, and the first one makes the job. Who is never the first comes later.
final class Ticker: Sendable {
    private let store: JobStore
    private let state: WorkerState
    private let logger: Logger
    private let wakeup = Wakeup()
    private let plan = Mutex(TickPlan())
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
        guard let next else { return }
        plan.withLock { $0.hear(.now + max(.zero, next.duration(since: now))) }
        wakeup.raise()
    }

    /// Ticks until `stop()` or the task's cancellation.
    func run() async {
        var backoff = Backoff()
        while !wakeup.isClosed, !Task.isCancelled {
            guard let moment = plan.withLock({ $0.due }) else {
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
                plan.withLock { $0.fails(until: pause) }
            }
        }
    }

    /// Moves on every schedule whose time has come.
    func tick() async throws(PostgresError) {
        let resting = plan.withLock { $0.begins(now: .now) }
        let found = try await store.dueSchedules(except: resting)
        let foundAt = ContinuousClock.now
        var steps: [ScheduleStep] = []
        var isInVain = true
        for step in found.schedules.map({ ScheduleStep($0, now: found.now) }) {
            if let obstacle = step.obstacle {
                isInVain = false
                if rest(step, because: .obstacle) { logger.log(.scheduleUnreadable, metadata: who(step, obstacle)) }
            } else {
                steps.append(step)
            }
        }
        var next: [Timestamp?] = [found.next]
        for batch in ScheduleStep.batches(steps) {
            let taken = try await take(batch)
            isInVain = isInVain && taken.isEmpty
            next += batch.filter { taken.contains($0.id) }.map(\.next)
        }
        // The others of a full batch come at once.
        if found.isCut { next.append(found.now.advanced(by: Ticker.restBetweenBatches)) }
        let moment = next.compactMap(\.self).min().map { foundAt + max(.zero, $0.duration(since: found.now)) }
        plan.withLock { $0.ends(next: moment, isInVain: isInVain) }
    }

    /// - Returns: Those that were moved on; the others rest.
    private func take(_ steps: [ScheduleStep]) async throws(PostgresError) -> Set<UUID> {
        do throws(PostgresError) {
            return report(try await store.tick(steps), of: steps)
        } catch {
            // Less may fit into the time that a statement has.
            let isAtFault = !error.isTransient || ["57014", "55P03"].contains(error.sqlState)
            guard isAtFault else { throw error }
            guard steps.count > 1 else { return try await giveUp(steps[0], because: error) }
            // One of them is at fault, as with a check of the application's on its jobs; it says so and the others go on.
            var taken: Set<UUID> = []
            for step in steps { taken.formUnion(try await take([step])) }
            return taken
        }
    }

    /// Goes on without the job that the database refuses, where that can be stored; else the schedule rests.
    private func giveUp(_ step: ScheduleStep, because error: PostgresError) async throws(PostgresError) -> Set<UUID> {
        var last = error
        if !error.isTransient {
            var refused = step
            refused.ticks = []
            refused.error = "the database refused the job: \(error.message)"
            do throws(PostgresError) {
                return report(try await store.tick([refused]), of: [refused])
            } catch {
                guard !error.isTransient || ["57014", "55P03"].contains(error.sqlState) else { throw error }
                last = error
            }
        }
        state.metrics.ticked(added: 0, isSkipped: false, isFailed: true)
        if rest(step, because: .refusal) { logger.log(.scheduleFailed, metadata: who(step, "\(last)")) }
        return []
    }

    private func rest(_ step: ScheduleStep, because hindrance: TickPlan.Hindrance) -> Bool {
        plan.withLock { $0.rest(step.id, because: hindrance, now: .now) }
    }

    private func who(_ step: ScheduleStep, _ error: String? = nil) -> Logger.Metadata {
        var who: Logger.Metadata = ["SCHEDULE": "\(step.name)", "SCHEDULE_ID": "\(step.id.text)"]
        if let error { who["ERROR"] = "\(error)" }
        return who
    }

    /// - Returns: Those that were moved on. The others, held or changed by somebody, are tried again soon: most likely
    ///   another worker has seen to them by then.
    private func report(_ outcomes: [ScheduleTick], of steps: [ScheduleStep]) -> Set<UUID> {
        for outcome in outcomes {
            guard let step = steps.first(where: { $0.id == outcome.id }) else { continue }
            state.metrics.ticked(added: outcome.added, isSkipped: outcome.isSkipped, isFailed: step.error != nil)
            if let error = step.error {
                logger.log(.scheduleFailed, metadata: who(step, error))
            } else if outcome.isSkipped {
                logger.log(.scheduleSkipped, metadata: who(step))
            } else if step.leavesOut {
                logger.log(.scheduleMissed, metadata: who(step))
            }
        }
        let taken = Set(outcomes.map(\.id))
        plan.withLock { plan in
            for step in steps {
                if taken.contains(step.id) {
                    plan.took(step.id)
                } else {
                    _ = plan.rest(step.id, because: .contention, now: .now)
                }
            }
        }
        return taken
    }
}
