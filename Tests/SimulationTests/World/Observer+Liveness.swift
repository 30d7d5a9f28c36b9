import Support

@testable import JobWorker

/// What must come to pass.
extension Observer {
    mutating func stopping(_ worker: SimulatedWorker, in simulation: Simulation) {
        stoppingSince[worker.id] = simulation.now
    }

    func stopped(_ worker: SimulatedWorker, in simulation: Simulation) {
        checkStop(of: worker, in: simulation)
        guard !worker.isGivenUp || simulation.scenario.isFaultless else { return }
        for (job, row) in simulation.table.rows.enumerated() {
            guard let row, row.workerID == worker.id, let token = row.leaseToken, begun.contains(token) else {
                continue
            }
            if row.status == .processing || row.leaseIsOpen {
                simulation.violate("\(worker.id) has stopped and left job \(job) behind")
            }
        }
    }

    private func checkStop(of worker: SimulatedWorker, in simulation: Simulation) {
        guard let since = stoppingSince[worker.id], worker.pausedUntil <= since else { return }
        let scenario = simulation.scenario
        // A look that is under way, the drain, the grace and as much for the database, and the last statements.
        let limit = scenario.shutdownTimeout + 2 * scenario.grace + 4 * scenario.answerTimeout + 5000
        if simulation.now - since > limit { simulation.violate("\(worker.id) doesn't stop") }
    }

    /// A job that was announced starts while a slot is free.
    func checkPromptness(_ simulation: Simulation) {
        let patience = 2500
        for (job, announcedAt) in announcedAt where announcedAt + patience < simulation.now {
            guard let row = simulation.table[job], row.status == .pending, row.workerDeaths == 0,
                !row.leaseIsOpen
            else { continue }
            for worker in simulation.workers where worker.phase == .working {
                if worker.freeSince < simulation.now - patience {
                    simulation.violate("job \(job) is due and announced, and \(worker.id) idles")
                }
            }
        }
    }

    /// Everything has worked for long.
    func checkEnd(_ simulation: Simulation) {
        for (job, row) in simulation.table.rows.enumerated() {
            guard let row else { continue }
            if !row.status.isFinal { simulation.violate("job \(job) is still \(row.status)") }
            if row.leaseIsOpen { simulation.violate("job \(job) is \(row.status), but its lease stays open") }
        }
        for worker in simulation.workers where worker.isAlive && worker.phase == .draining {
            checkStop(of: worker, in: simulation)
        }
    }
}
