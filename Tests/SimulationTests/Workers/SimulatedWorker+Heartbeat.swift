import Support

@testable import JobWorker

/// The loops of `Heartbeat`: one beats, the other stops what is overdue.
extension SimulatedWorker {
    // MARK: Beating

    func beatNow() {
        mustBeat = true
        turnBeat()
    }

    func scheduleBeat() {
        simulation.at(nextBeat, of: self) { self.turnBeat() }
    }

    private func turnBeat() {
        guard isAlive, phase == .working || phase == .draining, !isBeating, mustBeat || nextBeat <= simulation.now
        else { return }
        mustBeat = false
        let claims = runs.claims.sorted { $0.token < $1.token }
        guard !claims.isEmpty else {
            beaten(pause: simulation.scenario.heartbeatInterval)
            return
        }
        isBeating = true
        let askedAt = simulation.instant
        simulation.send("heartbeat", of: self) { [self] in
            let answer = simulation.change(.heartbeat(self)) {
                $0.heartbeat(claims.map { JobsTable.Held($0) }, now: simulation.now)
            }
            let named = Dictionary(uniqueKeysWithValues: claims.map { (JobsTable.Held($0), $0) })
            func set(_ held: [JobsTable.Held]) -> Set<Claim> { Set(held.compactMap { named[$0] }) }
            return .success(
                HeartbeatAnswer(held: set(answer.held), cancelled: set(answer.cancelled), lost: set(answer.lost)))
        } reply: { [self] (result: Result<HeartbeatAnswer, Simulation.Failure>) in
            isBeating = false
            switch result {
            case .success(let answer):
                for claim in answer.lost {
                    if let execution = executions[claim], !execution.isSettled { execution.isKnownLost = true }
                }
                tell(runs.hear(answer, askedAt: askedAt, now: simulation.instant))
                _ = contact.answered(now: simulation.instant)
                beaten(pause: simulation.scenario.heartbeatInterval)
            case .failure:
                simulation.disturb(self)
                _ = contact.failed("gone", now: simulation.instant)
                beaten(pause: min(simulation.scenario.heartbeatInterval, 1000))
            }
        }
    }

    private func beaten(pause: Int) {
        nextBeat = simulation.now + pause
        scheduleBeat()
        if mustBeat { turnBeat() }
    }

    // MARK: Watching

    private static let tick = 500

    /// What has begun or was stopped is looked at with the next tick.
    func watchSoon() { watch(at: simulation.now + SimulatedWorker.tick) }

    private func watch(at time: Int) {
        guard time < watchTimer || watchTimer <= simulation.now else { return }
        watchTimer = time
        simulation.at(time, of: self) { self.turnWatch() }
    }

    private func turnWatch() {
        watchTimer = .max
        guard phase == .working || phase == .draining else { return }
        let now = simulation.instant
        let overdue = runs.overdue(
            now: now, staleAfter: configuration.staleAfter, grace: configuration.cancellationGrace)
        tell(runs.stop(overdue.timedOut.sorted { $0.token < $1.token }, because: .timedOut, now: now))
        tell(runs.stop(overdue.unconfirmed.sorted { $0.token < $1.token }, because: .unconfirmed, now: now))
        for claim in overdue.deaf.sorted(by: { $0.token < $1.token }) {
            simulation.note("\(id) gives up \(claim.token)")
            if runs.end(claim, .abandoned) { ended(claim, .abandoned) }
        }
        if let next = overdue.next {
            watch(at: max(simulation.time(of: next), simulation.now + 100))
        }
    }
}
