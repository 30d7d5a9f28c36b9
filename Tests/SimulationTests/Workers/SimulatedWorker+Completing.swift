import Support

@testable import JobWorker

/// The loop of `Completer`, one outcome at a time.
extension SimulatedWorker {
    func turnCompleter() {
        guard isAlive, !isStoring, let (execution, outcome, end) = outbox.first else { return }
        isStoring = true
        outbox.removeFirst()
        let done = { [self] in
            isStoring = false
            stored(execution, end)
            turnCompleter()
        }
        switch outcome {
        case .completed: complete(execution, done)
        case .settled(let settlement): settle(execution, settlement, done)
        case .ended: endRun(execution, done)
        }
    }

    private func complete(_ execution: Execution, _ done: @escaping () -> Void) {
        untilAnswered("complete") { [self] in
            if execution.fate == .unstorable { return .failure(.refused) }
            return .success(
                simulation.change(.complete(execution)) { $0.complete(execution.held, now: simulation.now) })
        } then: { [self] (result: Result<Bool, Simulation.Failure>) in
            switch result {
            case .success(true), .failure(.transient): done()
            case .success(false): endRun(execution, done)
            case .failure(.refused):
                settle(execution, Settlement(claim: execution.claimed.claim, kind: .fail, message: ""), done)
            }
        }
    }

    private func settle(_ execution: Execution, _ settlement: Settlement, _ done: @escaping () -> Void) {
        untilAnswered("settle") { [self] in
            .success(
                simulation.change(.settle(execution, settlement)) {
                    $0.settle(
                        execution.held, kind: settlement.kind, delay: settlement.delay.milliseconds,
                        retryDelay: settlement.retryDelay.milliseconds, now: simulation.now)
                })
        } then: { [self] (result: Result<Verdict?, Simulation.Failure>) in
            if case .success(nil) = result { endRun(execution, done) } else { done() }
        }
    }

    private func endRun(_ execution: Execution, _ done: @escaping () -> Void) {
        untilAnswered("end_runs") { [self] in
            .success(simulation.change(.endRun(execution)) { $0.endRuns([execution.held]) })
        } then: { (_: Result<Void, Simulation.Failure>) in
            done()
        }
    }

    /// Repeats a statement until the database has answered it, or the worker waits no longer.
    private func untilAnswered<Value>(
        _ name: String, effect: @escaping () -> Result<Value, Simulation.Failure>,
        then: @escaping (Result<Value, Simulation.Failure>) -> Void
    ) {
        simulation.send(name, of: self, effect: effect) { [self] result in
            if case .failure(.transient) = result, !isGivenUp {
                simulation.after(simulation.dice.time(100...3000), of: self) { [self] in
                    untilAnswered(name, effect: effect, then: then)
                }
            } else {
                then(result)
            }
        }
    }
}

extension Duration {
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
    }
}
