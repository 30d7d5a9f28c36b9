import Logging
import Postgres

/// Tells the database that the runs of this process are alive, and stops those that are over: cancelled,
/// lost, past their time, or unconfirmed for so long that another worker may soon take them.
struct Heartbeat: Sendable {
    let running: RunningJobs
    let store: JobStore
    let state: WorkerState
    let wakeup: Wakeup
    let interval: Duration
    let staleAfter: Duration
    let grace: Duration
    let logger: Logger

    private static let tick = Duration.milliseconds(500)
    private static let restBetweenBeats = Duration.milliseconds(20)

    /// Two loops: what is overdue must be stopped also while a beat waits for its answer.
    func run() async {
        await withDiscardingTaskGroup { group in
            // By itself: a beat whose answer doesn't come must not keep runs from being stopped in time.
            group.addTask { await watch() }
            await beatUntilCancelled()
        }
    }

    /// Stops what is over by this process's own clock.
    private func watch() async {
        while !Task.isCancelled {
            await running.waitForRuns()
            let now = ContinuousClock.now
            let overdue = running.overdue(now: now, staleAfter: staleAfter, grace: grace)
            stop(overdue)
            // Jobs that have begun meanwhile are seen at the next tick.
            let nextTick = now + Heartbeat.tick
            let wakeAt = max(min(overdue.next ?? nextTick, nextTick), now + .milliseconds(10))
            try? await Task.sleep(until: wakeAt, clock: .continuous)
        }
    }

    private func beatUntilCancelled() async {
        var nextBeat = ContinuousClock.now + interval
        while !Task.isCancelled {
            state.willTurn(.heartbeat, within: max(nextBeat - .now, .zero) + .seconds(90))
            await wakeup.wait(until: nextBeat)
            if Task.isCancelled { return }
            if await beat() {
                nextBeat = .now + interval
            } else {
                // Soon again, but not in a storm.
                nextBeat = .now + min(interval, .seconds(1))
            }
            // Anybody can send notifications, any number of them: let them gather.
            try? await Task.sleep(for: Heartbeat.restBetweenBeats)
        }
    }

    private func stop(_ overdue: Runs.Overdue) {
        running.stop(overdue.timedOut, because: .timedOut)
        running.stop(overdue.unconfirmed, because: .unconfirmed)
        for claim in overdue.deaf {
            logger.log(.processorDeaf, metadata: ["JOB_ID": "\(claim.jobID.text)"])
            running.abandon(claim)
        }
    }

    /// - Returns: Whether the database answered.
    private func beat() async -> Bool {
        let claims = running.claims
        guard !claims.isEmpty else { return true }
        let askedAt = ContinuousClock.now
        do throws(PostgresError) {
            let answer = try await store.heartbeat(claims)
            running.hear(answer, askedAt: askedAt)
            if state.reportAnswer() { logger.log(.databaseFound) }
            return true
        } catch {
            guard !Task.isCancelled else { return false }
            if state.reportOutage(error) {
                logger.log(.databaseLost, metadata: ["ERROR": "\(error)"])
            } else {
                logger.debug("a heartbeat failed", metadata: ["ERROR": "\(error)"])
            }
            return false
        }
    }
}
