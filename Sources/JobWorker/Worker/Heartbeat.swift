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

    /// Two loops: what is overdue must be stopped also while a beat waits for its answer.
    func run() async {
        await withDiscardingTaskGroup { loops in
            loops.addTask { await self.watch() }
            loops.addTask { await self.beatUntilCancelled() }
        }
    }

    private func watch() async {
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let overdue = running.overdue(now: now, staleAfter: staleAfter, grace: grace)
            stop(overdue)
            // Jobs that have begun meanwhile are seen at the next tick.
            let next = min(overdue.next ?? now + Heartbeat.tick, now + Heartbeat.tick)
            try? await Task.sleep(until: max(next, now + .milliseconds(10)), clock: .continuous)
        }
    }

    private func beatUntilCancelled() async {
        var nextBeat = ContinuousClock.now + interval
        while !Task.isCancelled {
            state.willTurn(.heartbeat, within: interval + .seconds(90))
            let isAsked = await wakeup.wait(until: nextBeat)
            if Task.isCancelled { return }
            guard isAsked || ContinuousClock.now >= nextBeat else { continue }
            // Soon again after a failure, but not in a storm.
            nextBeat = await beat() ? .now + interval : .now + min(interval, .seconds(1))
        }
    }

    private func stop(_ overdue: Runs.Overdue) {
        running.stop(overdue.timedOut, because: .timedOut)
        running.stop(overdue.unconfirmed, because: .unconfirmed)
        for claim in overdue.deaf {
            logger.error(
                "a processor doesn't end although it was told to; its slot stays taken",
                metadata: ["JOB_ID": "\(claim.jobID.text)"])
            running.end(claim, .abandoned)
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
            if state.reportAnswer() { logger.notice("the database answers again") }
            return true
        } catch {
            guard !Task.isCancelled else { return false }
            let isNews = state.reportOutage(error)
            logger.log(level: isNews ? .error : .debug, "a heartbeat failed", metadata: ["ERROR": "\(error)"])
            return false
        }
    }
}
