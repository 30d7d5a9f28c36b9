import FoundationEssentials
import Postgres
import Support

@testable import JobWorker

/// The loop of `Poller`.
extension SimulatedWorker {
    func turnPoller() {
        guard isAlive, phase == .working, !isLooking, looksAgainAt <= simulation.now else { return }
        switch plan.action(
            now: simulation.instant, isAsked: isAsked, free: runs.free, isFull: runs.count >= runs.limit)
        {
        case .poll: look(isPoll: true)
        case .claim: look(isPoll: false)
        case .search:
            // A claim of the model looks everywhere.
            plan.asksForDue(now: simulation.instant)
            plan.searched(now: simulation.instant, took: .zero)
            plan.knows(due: simulation.nextDue)
            look(isPoll: false)
        case .attend(let isAttending):
            plan.attended(isAttending, now: simulation.instant)
            turnPoller()
        case .wait(let until):
            let time = simulation.time(of: until)
            guard time < pollTimer || pollTimer <= simulation.now else { return }
            pollTimer = time
            simulation.at(time, of: self) { self.turnPoller() }
        }
    }

    private struct Found {
        var claimed: [JobsTable.Claimed]
        var reaped = 0
        var now: Int
        var serverStartedAt: Int
        var nextDue: ContinuousClock.Instant?
    }

    private static let batch = 100

    private func look(isPoll: Bool) {
        let request = runs.request(configuration, types: ServedTypes(names: ["noop"]), lanes: nil)
        let mayReap =
            isPoll && contact.mayReap(configuration, now: simulation.instant)
        if isPoll {
            isAsked = false
            plan.asksForDue(now: simulation.instant)
        }
        plan.lookBegins()
        isLooking = true
        let askedAt = simulation.instant
        simulation.send(isPoll ? "poll" : "claim", of: self) { [self] in
            // One snapshot for all of the poll: what it takes back it doesn't claim.
            let staleAfter = simulation.scenario.staleAfter
            let claimed = simulation.change(.claim(self)) {
                if isPoll { $0.beat(asWorker) }
                return $0.claim(
                    by: id, limit: request.limit, takesSuspect: request.takesSuspect, staleAfter: staleAfter,
                    now: simulation.now)
            }
            var found = Found(
                claimed: claimed, now: simulation.now, serverStartedAt: simulation.serverStartedAt,
                nextDue: simulation.nextDue)
            if mayReap {
                found.reaped =
                    simulation.change(.reap(self)) {
                        $0.reap(
                            staleAfter: staleAfter, batch: SimulatedWorker.batch, delays: simulation.scenario.delays,
                            random: simulation.dice.share(), now: simulation.now)
                    }.count
            }
            return .success(found)
        } reply: { [self] (result: Result<Found, Simulation.Failure>) in
            isLooking = false
            switch result {
            case .success(let found):
                if isPoll {
                    contact.polled(
                        at: Timestamp(microseconds: Int64(found.now) * 1000),
                        serverStartedAt: Timestamp(microseconds: Int64(found.serverStartedAt) * 1000),
                        askedAt: askedAt, configuration, now: simulation.instant)
                    let pause = configuration.pollInterval * (1 - 0.2 * simulation.dice.share())
                    plan.polled(
                        isReapingDone: found.reaped < SimulatedWorker.batch, now: simulation.instant, pause: pause)
                    plan.knows(due: found.nextDue)
                }
                _ = contact.answered(now: simulation.instant)
                let claimed = found.claimed.map { ClaimedJob($0, at: found.now) }
                runs.admit(
                    claimed, timeouts: Timeouts(usual: configuration.jobTimeout, ofTypes: [:]),
                    staleAfter: configuration.staleAfter, askedAt: askedAt,
                    now: simulation.instant)
                plan.looked(for: request, claimed: claimed, now: simulation.instant)
                for job in claimed { start(job) }
                pollBackoff.reset()
            case .failure:
                simulation.disturb(self)
                plan.lookFailed()
                _ = contact.failed("gone", now: simulation.instant)
                let pause = pollBackoff.next(random: simulation.dice.share())
                looksAgainAt = simulation.time(of: simulation.instant + pause)
                simulation.at(looksAgainAt, of: self) { self.turnPoller() }
            }
            if phase == .draining { drain() } else { turnPoller() }
        }
    }
}

extension Simulation {
    /// When the next job becomes due that isn't yet.
    var nextDue: ContinuousClock.Instant? {
        let times = table.rows.compactMap { row in
            row.flatMap { $0.status == .pending && $0.dueAt > now ? $0.dueAt : nil }
        }
        return times.min().map { instant + .milliseconds($0 - now) }
    }

    /// Only what befalls a worker alone excuses that it falls silent.
    func disturb(_ worker: SimulatedWorker) { if isAwayUntil <= now { worker.disturb() } }
}

extension ClaimedJob {
    fileprivate convenience init(_ claimed: JobsTable.Claimed, at time: Int) {
        let id = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(claimed.job)))
        let time = Timestamp(microseconds: Int64(time) * 1000)
        self.init(
            job: Job(
                id: id, workspaceID: id, type: "noop", payload: JSONText("{}"), attempt: claimed.attempt,
                maxAttempts: claimed.maxAttempts, createdAt: time, dueAt: time, startedAt: time),
            claim: Claim(jobID: id, token: claimed.token), isSuspect: claimed.isSuspect, refusal: nil)
    }
}

extension JobsTable.Held {
    init(_ claim: Claim) { self.init(job: Int(claim.jobID.uuid.15), token: claim.token) }
}
