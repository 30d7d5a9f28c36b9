import Support

@testable import JobWorker

/// What `Attempt` does with each run, and its processor.
extension SimulatedWorker {
    func start(_ claimed: ClaimedJob) {
        let held = JobsTable.Held(claimed.claim)
        let (fate, length) = drawFate()
        let execution = Execution(
            claimed, held: held, worker: self, fate: fate, now: simulation.now,
            deadline: simulation.now + simulation.scenario.jobTimeout)
        executions[claimed.claim] = execution
        guard runs.deadline(of: claimed.claim) != nil else {
            // The answer to the claim came too late: the processor isn't even called.
            let end = ProcessorEnd.threw(CancellationError())
            execution.isTold = true
            execution.end(end, isOwn: false)
            simulation.observer.passedOver(execution)
            if runs.end(claimed.claim, end) { ended(claimed.claim, end) }
            return
        }
        simulation.note("\(id) runs job \(held.job) with \(held.token): \(fate)")
        simulation.observer.started(execution, in: simulation)
        if runs.free == 0 { freeSince = .max }
        watchSoon()
        if simulation.dice.happens(30) { reportProgress(execution, after: length / 2) }
        guard fate != .hangs else { return }
        simulation.after(length, of: self) { self.finish(execution, isOwn: true) }
    }

    private func drawFate() -> (Execution.Fate, Int) {
        let length = simulation.dice.time(100...3000)
        guard !simulation.isHealed else { return (.returns, length) }
        let long = simulation.dice.time(1000...(2 * simulation.scenario.staleAfter))
        return switch simulation.dice.number(0...99) {
        case ..<25: (.returns, length)
        case ..<45: (.returns, long)
        case ..<60: (.fails, length)
        case ..<65: (.failsForGood, length)
        case ..<75: (.snoozes, length)
        case ..<85: (.hangs, 0)
        case ..<92: (.deaf, long)
        default: (.unstorable, length)
        }
    }

    private func reportProgress(_ execution: Execution, after delay: Int) {
        simulation.after(delay, of: self) { [self] in
            guard !execution.hasEnded else { return }
            simulation.send("progress", of: self) { [self] in
                .success(
                    simulation.change(.progress(execution)) { $0.setProgress(execution.held, now: simulation.now) })
            } reply: { [self] (result: Result<ClaimState, Simulation.Failure>) in
                guard case .success(let state) = result, state != .held else { return }
                if state == .lost, !execution.isSettled { execution.isKnownLost = true }
                let reason = state == .lost ? StopReason.lost : .cancelled
                tell(runs.stop([execution.claimed.claim], because: reason, now: simulation.instant))
            }
        }
    }

    /// Cancels tasks: a processor that listens ends soon, most often by giving up.
    func tell(_ claims: [Claim]) {
        guard !claims.isEmpty else { return }
        watchSoon()
        for claim in claims {
            guard let execution = executions[claim], !execution.isTold else { continue }
            execution.isTold = true
            guard execution.fate != .deaf else { continue }
            simulation.after(simulation.dice.time(0...1000), of: self) { self.finish(execution, isOwn: false) }
        }
    }

    private func finish(_ execution: Execution, isOwn: Bool) {
        guard !execution.hasEnded else { return }
        let end = drawEnd(execution, isOwn: isOwn)
        execution.end(end, isOwn: isOwn)
        let claim = execution.claimed.claim
        if runs.end(claim, end) {
            ended(claim, end)
        } else if execution.keepsSlot {
            free(claim)
        }
    }

    private func drawEnd(_ execution: Execution, isOwn: Bool) -> ProcessorEnd {
        guard isOwn else { return simulation.dice.happens(15) ? .returned(nil) : .threw(CancellationError()) }
        switch execution.fate {
        case .fails: return .threw(JobFailure.retryable("no luck"))
        case .failsForGood: return .threw(JobFailure.permanent("never"))
        case .snoozes: return .threw(JobFailure.snooze(for: .seconds(2), "later"))
        case .returns, .hangs, .deaf, .unstorable: return .returned(nil)
        }
    }

    /// The run is over, or given up: its outcome is stored.
    func ended(_ claim: Claim, _ end: ProcessorEnd) {
        guard let execution = executions[claim] else { return }
        let reason = runs.settle(claim)
        execution.isSettled = true
        let outcome = Outcome(
            of: execution.claimed, end: end, stoppedBecause: reason, timeLimit: configuration.jobTimeout,
            retry: configuration.retry, random: simulation.dice.share())
        simulation.note("\(id) \(claim.token) ends, stopped because: \(reason.map { "\($0)" } ?? "-")")
        guard let outcome else { return stored(execution, end) }
        if execution.isKnownLost {
            simulation.violate("\(id) writes about job \(execution.held.job), whose claim it knows to be lost")
        }
        outbox.append((execution, outcome, end))
        turnCompleter()
    }

    func stored(_ execution: Execution, _ end: ProcessorEnd) {
        if case .abandoned = end, phase != .draining, !execution.hasEnded {
            execution.keepsSlot = true
        } else {
            free(execution.claimed.claim)
        }
    }

    func free(_ claim: Claim) {
        runs.remove(claim)
        executions[claim] = nil
        if runs.free == 1 { freeSince = simulation.now }
        if plan.slotFreed() { turnPoller() }
        if phase == .draining { leaveIfEmpty() }
    }
}
