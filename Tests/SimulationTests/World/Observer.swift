import Support

@testable import JobWorker

/// Watches the table and the processors, and knows what must never be. It trusts none of the values that decide.
struct Observer {
    /// What changed a row.
    enum Change {
        case enqueue, cancel, retry, register
        case claim(SimulatedWorker)
        case reap(SimulatedWorker)
        case takeBack(SimulatedWorker)
        case heartbeat(SimulatedWorker)
        case progress(Execution)
        case complete(Execution)
        case settle(Execution, Settlement)
        case endRun(Execution)
    }

    /// By job: processors that may be at work.
    var executions: [Int: [Execution]] = [:]
    /// Since when workers have been told that a job is due.
    var announcedAt: [Int: Int] = [:]
    /// Claims whose answer has come.
    var begun: Set<Int64> = []
    /// By job: nobody may start it earlier.
    var notBefore: [Int: Int] = [:]
    var stoppingSince: [String: Int] = [:]

    /// Its claim was answered so late that the processor wasn't called; the worker holds the job until it is given back.
    mutating func passedOver(_ execution: Execution) { begun.insert(execution.held.token) }

    mutating func started(_ execution: Execution, in simulation: Simulation) {
        begun.insert(execution.held.token)
        executions[execution.held.job, default: []].append(execution)
        let worker = execution.worker
        if worker.runs.count > worker.runs.limit {
            simulation.violate("\(worker.id) runs \(worker.runs.count) jobs, more than it has slots")
        }
        if worker.executions.values.count(where: { $0.claimed.isSuspect }) > 1 {
            simulation.violate("\(worker.id) runs two jobs whose workers died")
        }
    }

    mutating func check(
        _ job: Int, from old: JobsTable.Row?, to new: JobsTable.Row, by change: Change, in simulation: Simulation
    ) {
        executions[job]?.removeAll { $0.hasEnded && $0.worker.executions[$0.claimed.claim] == nil }
        guard let old else { return }
        if new.attempts > new.maxAttempts || new.attempts < 0 {
            simulation.violate("job \(job) has \(new.attempts) of \(new.maxAttempts) attempts")
        }
        if old.status.isFinal, new.status != old.status {
            guard case .retry = change, old.status != .completed else {
                return simulation.violate("job \(job) was \(old.status) and became \(new.status)")
            }
        }
        switch change {
        case .register: break
        case .enqueue: simulation.violate("job \(job) was added twice")
        case .cancel: expectAttempts(old.attempts, job, new, in: simulation)
        case .retry:
            notBefore[job] = nil
            expectAttempts(old.status == .pending ? old.attempts : 0, job, new, in: simulation)
        case .claim(let worker): checkClaim(job, old, new, by: worker, in: simulation)
        case .reap, .takeBack: checkTakingBack(job, old, new, by: change, in: simulation)
        case .heartbeat(let worker):
            if let token = old.leaseToken, !begun.contains(token) {
                simulation.violate("\(worker.id) keeps job \(job) alive although nobody runs it")
            }
        case .progress(let execution):
            if old.leaseToken != execution.held.token || !old.leaseIsOpen {
                simulation.violate("the run \(execution.held.token) reported progress after its end")
            }
        case .complete(let execution):
            expectHeld(old, by: execution, in: simulation)
            expectAttempts(old.attempts, job, new, in: simulation)
            if !execution.hasReturned { simulation.violate("job \(job) is completed, but no processor said so") }
        case .settle(let execution, let settlement):
            expectHeld(old, by: execution, in: simulation)
            checkSettlement(job, old, new, execution, settlement, in: simulation)
        case .endRun(let execution):
            if old.leaseToken != execution.held.token {
                simulation.violate("the end of a run closed another run's lease of job \(job)")
            }
            expectEnded(execution, in: simulation)
        }
        if new.status != .pending { announcedAt[job] = nil }
    }

    // MARK: What holds everywhere

    func expectAttempts(_ attempts: Int, _ job: Int, _ new: JobsTable.Row, in simulation: Simulation) {
        if new.attempts != attempts {
            simulation.violate("job \(job) has \(new.attempts) attempts instead of \(attempts)")
        }
    }

    /// Only the run that the row names may write about it.
    private func expectHeld(_ old: JobsTable.Row, by execution: Execution, in simulation: Simulation) {
        if old.leaseToken != execution.held.token || old.status != .processing {
            simulation.violate(
                "the run \(execution.held.token) wrote about job \(execution.held.job), which it had lost")
        }
    }

    func expectEnded(_ execution: Execution, in simulation: Simulation) {
        if !execution.hasEnded, execution.fate != .deaf {
            simulation.violate("the end of run \(execution.held.token) is stored while its processor is at work")
        }
    }
}
