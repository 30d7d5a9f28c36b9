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

    func run() async {
        var nextBeat = ContinuousClock.now + interval
        while !Task.isCancelled {
            let now = ContinuousClock.now
            let overdue = running.overdue(now: now, staleAfter: staleAfter, grace: grace)
            stop(overdue)
            // Jobs that have begun meanwhile are seen at the next tick.
            let wakeAt = min(nextBeat, overdue.next ?? nextBeat, now + Heartbeat.tick)
            state.willTurn(.heartbeat, within: .seconds(90))
            let isAsked = await wakeup.wait(until: max(wakeAt, now + .milliseconds(10)))
            if Task.isCancelled { return }
            guard isAsked || ContinuousClock.now >= nextBeat else { continue }
            if await beat() {
                nextBeat = .now + interval
            } else {
                // Soon again, but not in a storm.
                nextBeat = .now + min(interval, .seconds(1))
            }
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
