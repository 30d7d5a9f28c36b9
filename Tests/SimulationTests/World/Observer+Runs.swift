import Support

@testable import JobWorker

/// What must hold when a job changes hands.
extension Observer {
    mutating func checkClaim(
        _ job: Int, _ old: JobsTable.Row, _ new: JobsTable.Row, by worker: SimulatedWorker, in simulation: Simulation
    ) {
        expectAttempts(old.attempts + 1, job, new, in: simulation)
        if old.status != .pending { simulation.violate("job \(job) was claimed while it was \(old.status)") }
        if old.scheduledFor ?? 0 > simulation.now || notBefore[job] ?? 0 > simulation.now {
            simulation.violate("job \(job) was claimed early")
        }
        notBefore[job] = nil
        let isStale = old.heartbeatAt ?? 0 < simulation.now - simulation.scenario.staleAfter
        if old.leaseIsOpen, !isStale {
            simulation.violate("job \(job) was claimed while an earlier run's lease was open")
        }
        for execution in executions[job] ?? [] where !execution.hasEnded && !isExcused(execution, in: simulation) {
            simulation.violate(
                "job \(job) was claimed by \(worker.id) while \(execution.worker.id) still ran it with \(execution.held.token)"
            )
        }
    }

    /// A processor that doesn't listen can't be stopped, nor can a process that is paused. Once it goes on, it has a
    /// moment to notice.
    private func isExcused(_ execution: Execution, in simulation: Simulation) -> Bool {
        execution.fate == .deaf || execution.worker.pausedUntil + 2000 > simulation.now
    }

    mutating func checkTakingBack(
        _ job: Int, _ old: JobsTable.Row, _ new: JobsTable.Row, by change: Change, in simulation: Simulation
    ) {
        expectAttempts(old.attempts, job, new, in: simulation)
        if old.status == .processing {
            waits(job, new, simulation.scenario.delays.delay(after: max(old.attempts, 1)), in: simulation)
        } else if new.status != old.status {
            simulation.violate("job \(job) was \(old.status) and was taken back")
        }
        let heartbeatAt = old.heartbeatAt ?? 0
        let holder = simulation.processes.first { $0.id == old.workerID }
        switch change {
        case .takeBack(let worker):
            // Also by a statement that outlived the process that sent it.
            if holder?.isAlive == true {
                simulation.violate("job \(job) was taken by \(worker.id) from a process that lives")
            }
        default:
            if simulation.now - heartbeatAt <= simulation.scenario.staleAfter {
                simulation.violate("job \(job) was taken back before its lease ran out")
            }
            // What befalls the database befalls all workers: none of them has died of it. Unless a beat still waits for
            // an answer that may never come: that befell this worker alone.
            if let holder, holder.isAlive, !holder.isBeating, holder.disturbedAt < heartbeatAt,
                let token = old.leaseToken,
                holder.executions.values.contains(where: { $0.held.token == token && !$0.hasEnded })
            {
                simulation.violate(
                    "job \(job) was taken from \(holder.id), which lives, after an outage of the database")
            }
        }
    }

    mutating func checkSettlement(
        _ job: Int, _ old: JobsTable.Row, _ new: JobsTable.Row, _ execution: Execution, _ settlement: Settlement,
        in simulation: Simulation
    ) {
        expectEnded(execution, in: simulation)
        switch settlement.kind {
        case .retry, .fail:
            expectAttempts(old.attempts, job, new, in: simulation)
            waits(job, new, simulation.scenario.delays.delay(after: old.attempts), in: simulation)
            let isOverdue = simulation.now >= execution.deadline
            if !execution.isOwnEnd, !isOverdue, execution.fate != .unstorable {
                simulation.violate("an attempt of job \(job) counts as failed that \(execution.worker.id) broke off")
            }
        case .snooze:
            expectAttempts(old.attempts - 1, job, new, in: simulation)
            waits(job, new, 2000, in: simulation)
        case .release:
            expectAttempts(old.attempts - 1, job, new, in: simulation)
            if !execution.isTold { simulation.violate("job \(job) was given back by a run that nobody stopped") }
            if execution.isOwnEnd, !execution.hasReturned, !execution.isTold {
                simulation.violate("a failure of job \(job) was given back")
            }
        }
    }

    /// A job that waits for another attempt.
    private mutating func waits(_ job: Int, _ new: JobsTable.Row, _ delay: Int, in simulation: Simulation) {
        guard new.status == .pending else { return }
        notBefore[job] = simulation.now + delay
        if new.dueAt < simulation.now + delay { simulation.violate("job \(job) waits less than its delay") }
    }
}
