import Support

@testable import JobWorker

/// Draining, as `JobWorker` does it.
extension SimulatedWorker {
    func stop() {
        guard isAlive, phase == .working || phase == .connecting else { return }
        if phase == .connecting { return leave() }
        phase = .draining
        simulation.observer.stopping(self, in: simulation)
        // A look that is under way comes first: what it claims must run.
        if !isLooking { drain() }
    }

    func hurry() {
        guard phase == .draining, !isLooking else { return }
        stopRuns()
    }

    func drain() {
        for (claim, execution) in executions.sorted(by: { $0.key.token < $1.key.token }) where execution.keepsSlot {
            free(claim)
        }
        guard isAlive, !runs.isEmpty else { return leaveIfEmpty() }
        simulation.after(simulation.scenario.shutdownTimeout, of: self) { self.stopRuns() }
    }

    private func stopRuns() {
        guard phase == .draining else { return }
        let claims = runs.claims.sorted { $0.token < $1.token }
        tell(runs.stop(claims, because: .draining, now: simulation.instant))
        beatNow()
        simulation.after(2 * simulation.scenario.grace, of: self) { self.isGivenUp = true }
    }

    func leaveIfEmpty() {
        if phase == .draining, runs.isEmpty, !isLooking { leave() }
    }

    private func leave() {
        guard isAlive else { return }
        simulation.note("\(id) has stopped")
        simulation.observer.stopped(self, in: simulation)
        die()
        let delay = simulation.isHealed ? 0 : simulation.dice.time(0...5000)
        simulation.after(delay) { [self] in simulation.replace(self) }
    }
}
