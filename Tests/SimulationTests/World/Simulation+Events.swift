import Support

/// What clients do, and what goes wrong.
extension Simulation {
    func launch(_ instance: Int) {
        let worker = SimulatedWorker(process: processes.count + 1, instance: instance, in: self)
        processes.append(worker)
        if instance < workers.count { workers[instance] = worker } else { workers.append(worker) }
        note("\(worker.id) starts")
        worker.prepare()
    }

    // MARK: Clients

    func arrangeClients() {
        let end = scenario.healsAt
        for job in 0..<scenario.jobs {
            let time = dice.time(0...(end / 2))
            let scheduledFor = dice.happens(20) ? time + dice.time(0...10_000) : nil
            let (priority, maxAttempts) = (dice.number(-1...1), dice.number(1...4))
            // Sent again after an answer that was lost: the id is the client's.
            for repetition in 0...(dice.happens(10) ? 1 : 0) {
                at(time + repetition * 1000) {
                    self.change(.enqueue) {
                        $0.enqueue(
                            job, priority: priority, maxAttempts: maxAttempts, scheduledFor: scheduledFor,
                            now: self.now)
                    }
                }
            }
            for _ in 0..<(dice.happens(40) ? dice.number(1...3) : 0) {
                at(dice.time(time...end)) {
                    self.note("cancel \(job)")
                    _ = self.change(.cancel) { $0.cancel(job, now: self.now) }
                }
            }
            for _ in 0..<(dice.happens(40) ? dice.number(1...4) : 0) {
                at(dice.time(time...end)) {
                    self.note("retry \(job)")
                    _ = self.change(.retry) { $0.retry(job, now: self.now) }
                }
            }
        }
        for _ in 0..<dice.number(0...2) {
            at(dice.time(0...end)) { self.workers[self.dice.number(0...(self.workers.count - 1))].ask() }
        }
    }

    // MARK: Faults

    func arrangeFaults() {
        for _ in 0..<dice.number(1...10) {
            at(dice.time(1000...scenario.healsAt)) { self.strike() }
        }
    }

    private func strike() {
        guard !isHealed else { return }
        let worker = workers[dice.number(0...(workers.count - 1))]
        let left = scenario.healsAt - now
        let length = min(left, dice.time(500...(2 * scenario.staleAfter)))
        switch dice.number(0...99) {
        case ..<20:
            guard worker.isAlive else { return }
            note("\(worker.id) is killed")
            worker.die()
            // The successor gets the instance's lock only once this one is dead.
            after(min(left, dice.time(0...20_000))) { self.replace(worker) }
        case ..<40:
            guard worker.isAlive else { return }
            note("\(worker.id) is paused for \(length) ms")
            worker.pause(until: now + length)
        case ..<60:
            note("\(worker.id) is cut off for \(length) ms")
            worker.cutOff(until: now + length)
        case ..<80:
            note("the database is away for \(length) ms")
            isAwayUntil = max(isAwayUntil, now + length)
            let hasRestarted = dice.happens(60)
            after(length) {
                if hasRestarted { self.serverStartedAt = self.now }
                for worker in self.workers { worker.listensAgain() }
            }
        default:
            note("\(worker.id) is told to stop")
            worker.stop()
            if dice.happens(20) { after(dice.time(0...2000), of: worker) { worker.hurry() } }
        }
    }

    /// A new process of the same instance, if the old one is gone.
    func replace(_ worker: SimulatedWorker) {
        guard !worker.isAlive, workers[worker.instance] === worker else { return }
        launch(worker.instance)
    }

    /// From now on nothing goes wrong; what was stopped starts again.
    func heal() {
        note("everything works again")
        isAwayUntil = now
        for worker in workers {
            worker.pausedUntil = min(worker.pausedUntil, now)
            worker.cutOffUntil = min(worker.cutOffUntil, now)
            if worker.isAlive { worker.listensAgain() } else { replace(worker) }
        }
    }

    /// While nothing fails, what is announced must not wait beside a free slot.
    func probe() {
        observer.checkPromptness(self)
        after(500) { self.probe() }
    }
}
