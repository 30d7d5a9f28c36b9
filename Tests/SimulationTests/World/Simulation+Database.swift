import JobWorker
import Support

extension Simulation {
    /// How a statement failed, as the client sees it.
    enum Failure: Error {
        /// Nobody knows whether it took effect.
        case transient
        /// The server refuses it, and will again.
        case refused
    }

    private final class Answer<Value> {
        var value: Result<Value, Failure>?
    }

    /// Sends a statement. It takes effect at one moment or never; the answer comes, or an error after which nobody
    /// knows which of the two it was.
    func send<Value>(
        _ name: @autoclosure @escaping () -> String, of worker: SimulatedWorker,
        effect: @escaping () -> Result<Value, Failure>, reply: @escaping (Result<Value, Failure>) -> Void
    ) {
        let (isCut, fault) = (isAwayUntil > now || worker.cutOffUntil > now, dice.number(0...99))
        var (way, back) = (dice.time(0...200), dice.time(0...200))
        let answer = Answer<Value>()
        let hasEffect: Bool, isAnswered: Bool
        switch isHealed ? 100 : fault {
        case _ where isCut:
            // Refused at once, or swallowed.
            (hasEffect, isAnswered) = (false, false)
            if dice.happens(50) { back = scenario.answerTimeout }
        case ..<scenario.refused:
            (hasEffect, isAnswered) = (false, false)
        case ..<(scenario.refused + scenario.unknown):
            (hasEffect, isAnswered) = (dice.happens(60), false)
            // It may take effect after the client has given up.
            if dice.happens(20) { way += dice.time(0...scenario.answerTimeout) }
            if dice.happens(20) { back = scenario.answerTimeout }
        case ..<(scenario.refused + scenario.unknown + scenario.slow):
            (hasEffect, isAnswered) = (true, true)
            if dice.happens(50) { way += dice.time(0...scenario.answerTimeout) }
            back += dice.time(0...scenario.answerTimeout)
        default:
            (hasEffect, isAnswered) = (true, true)
        }
        if hasEffect {
            after(way) {
                guard self.isAwayUntil <= self.now else { return }
                answer.value = effect()
            }
        }
        // No lost reply is awaited longer than this.
        let arrival = isAnswered ? min(way + back, scenario.answerTimeout) : back
        after(arrival, of: worker) {
            let isLost = !isAnswered || worker.cutOffUntil > self.now
            let result = isLost ? .failure(.transient) : answer.value ?? .failure(.transient)
            if case .failure(let failure) = result { self.note("\(worker.id) \(name()): \(failure)") }
            reply(result)
        }
    }

    /// A part of a statement takes effect: changes the table, which the observer then looks at.
    func change<Value>(_ change: Observer.Change, _ body: (inout JobsTable) -> Value) -> Value {
        let before = table.rows
        let value = body(&table)
        for job in table.rows.indices {
            guard let after = table.rows[job] else { continue }
            let old = job < before.count ? before[job] : nil
            guard old != after else { continue }
            note(
                "  job \(job): \(old.map { "\($0.status) \($0.attempts)" } ?? "new") → \(after.status) \(after.attempts)"
            )
            observer.check(job, from: old, to: after, by: change, in: self)
            if becameDue(from: old, to: after) { announce(job) }
            if old?.status == .processing, after.status == .cancelled { announceCancel() }
        }
        return value
    }

    /// The condition of `jobs_announce_due`, and that of `jobs_announce_inserted`.
    private func becameDue(from old: JobsTable.Row?, to new: JobsTable.Row) -> Bool {
        guard new.status == .pending, new.dueAt <= now else { return false }
        guard let old else { return true }
        return old.status != .pending || old.leaseIsOpen && !new.leaseIsOpen || old.scheduledFor != new.scheduledFor
            || old.nextRetryAt != new.nextRetryAt
    }

    /// The trigger's notification: a hint, which may get lost.
    private func announce(_ job: Int) {
        observer.announcedAt[job] = now
        for worker in workers where worker.isAlive && worker.cutOffUntil <= now {
            if !scenario.isFaultless, dice.happens(30) { continue }
            after(dice.time(0...200), of: worker) { worker.wake() }
        }
    }

    private func announceCancel() {
        for worker in workers where worker.isAlive && worker.cutOffUntil <= now {
            if !scenario.isFaultless, dice.happens(30) { continue }
            after(dice.time(0...200), of: worker) { worker.beatNow() }
        }
    }
}
