import Postgres
import Terminal

/// Jobs that run, or still do.
extension Account {
    var processing: Parts {
        guard facts.hasLease else { return runByOthers }
        if let stale = facts.staleAt, stale <= facts.asOf { return silentRun(since: stale) }
        var reasons = [run, heartbeat].compactMap(\.self)
        if let deadline = facts.deadline {
            let limit = (facts.timeout ?? facts.usualTimeout).words
            reasons.append(
                Reason(
                    code: .deadline,
                    text: "It is stopped at \(moment(deadline)), \(limit) after its start, if it hasn't ended before; "
                        + "that counts as a failure.",
                    details: [.init("at", deadline)]))
        }
        if facts.attempts > 1, facts.errorMessage != nil {
            reasons.append(
                Reason(
                    code: .lastFailure,
                    text: "The attempt before failed\(because(facts.errorMessage))",
                    details: facts.errorMessage.map { [.init("error", quoted($0))] } ?? []))
        }
        let lasting = facts.startedAt.map { " for \(facts.asOf.duration(since: $0).words)" } ?? ""
        return Parts(
            state: .running,
            summary: "Attempt \(facts.attempts) of \(facts.maxAttempts) has been running\(lasting).", reasons: reasons,
            next: Next(
                what: .end,
                text: facts.deadline.map { "The attempt ends, or is stopped at \(moment($0))." } ?? "The attempt ends.",
                at: facts.deadline))
    }

    private var run: Reason {
        var text = "Attempt \(facts.attempts) of \(facts.maxAttempts) runs"
        var details: [Detail] = [.init("attempt", facts.attempts), .init("max_attempts", facts.maxAttempts)]
        if let worker = facts.workerID {
            text += " on the worker \(quoted(worker))"
            details.append(.init("worker", worker))
        }
        if let holder = facts.holder {
            text += " of the host \(quoted(holder.host))"
            details.append(.init("host", holder.host))
        }
        if let since = facts.startedAt {
            text += " since \(moment(since))"
            details.append(.init("since", since))
        }
        return Reason(code: .running, text: text + ".", details: details)
    }

    private var heartbeat: Reason? {
        guard let at = facts.heartbeatAt, let silence = facts.silence, let stale = facts.staleAt else { return nil }
        return Reason(
            code: .heartbeat,
            text:
                "Its last sign of life came \(moment(at)); without another it is taken back from \(moment(stale)) on.",
            details: [
                .init("at", at), .init("age_seconds", Int(silence.components.seconds)), .init("stale_at", stale),
            ])
    }

    private func silentRun(since stale: Timestamp) -> Parts {
        var text = "Its worker"
        var details: [Detail] = []
        if let worker = facts.workerID {
            text += " \(quoted(worker))"
            details.append(.init("worker", worker))
        }
        if let heard = facts.heartbeatAt {
            text += " was last heard of \(moment(heard))"
            details.append(.init("at", heard))
        }
        if facts.holder?.hasStopped == true { text += ", and has stopped" }
        let isLastDeath = facts.workerDeaths + 1 >= 3
        let isLast = isLastDeath || facts.attempts >= facts.maxAttempts
        let outcome =
            isLastDeath
            ? "three workers have died running it, so it fails for good"
            : isLast ? "its attempts are used up, so it fails for good" : "the lost attempt counts, and another follows"
        details += [.init("stale_at", stale), .init("deaths", facts.workerDeaths)]
        let isSomebodyThere = facts.workers.alive > 0
        return Parts(
            state: .silent,
            summary: "It counts as running, but its worker has not been heard of for "
                + "\((facts.silence ?? .zero).words).",
            reasons: [run, Reason(code: .silentWorker, text: text + ".", details: details)],
            next: Next(
                what: .takenBack,
                text: isSomebodyThere
                    ? "Any worker takes it back with its next look: \(outcome)."
                    : "No worker is alive. The first that runs takes it back: \(outcome).",
                at: isSomebodyThere ? facts.asOf : nil))
    }

    /// Processing, without a lease: the application runs it, or a row was left behind.
    private var runByOthers: Parts {
        let from = [facts.heartbeatAt, facts.startedAt].compactMap(\.self).max() ?? facts.dueAt
        let end = from?.advanced(by: .seconds(3600))
        let isServed = facts.workers.servingType > 0
        let text = "No worker of jobworker started it: the application runs it itself, or left it like this."
        let next: Next
        if isServed, let end {
            next = Next(
                what: .takenBack,
                text: "A worker takes it back from \(moment(end)) on, if nothing is heard of it before.",
                at: max(end, facts.asOf))
        } else {
            next = Next(
                what: .nothing, text: "Nothing: no live worker serves its type, so it is the application's to end.",
                at: nil)
        }
        return Parts(
            state: .running, summary: "It counts as running, but not on a worker of jobworker.",
            reasons: [
                Reason(
                    code: .runByOthers, text: text,
                    details: from.map { [.init("since", $0)] } ?? [])
            ], next: next)
    }

    // MARK: Cancelled

    var cancelled: Parts {
        let reason = cancel
        guard facts.leaseIsOpen else {
            let at = facts.completedAt.map { " at \(moment($0))" } ?? ""
            return Parts(state: .cancelled, summary: "It was cancelled\(at).", reasons: [reason], next: byHand)
        }
        let stale = facts.staleAt
        let run = Reason(
            code: .earlierRun,
            text: "Its handler hasn't ended yet, and keeps its slot."
                + (facts.heartbeatAt.map { " Its last sign of life came \(moment($0))." } ?? ""),
            details: facts.heartbeatAt.map { [.init("at", $0)] } ?? [])
        return Parts(
            state: .cancelling, summary: "It was cancelled, but its handler still runs.", reasons: [reason, run],
            next: Next(
                what: .end,
                text: "The handler ends."
                    + (stale.map { " If nothing is heard of it, its run counts as ended from \(moment($0)) on." } ?? ""),
                at: stale))
    }

    private var cancel: Reason {
        var text = "It was cancelled"
        var details: [Detail] = []
        let change = facts.lastChange?.action == "job.cancel" ? facts.lastChange : nil
        if let change {
            text += " by \(person(change.actor))"
            details.append(.init("by", change.actor))
        }
        if let at = facts.completedAt ?? change?.at {
            text += " at \(moment(at))"
            details.append(.init("at", at))
        }
        text += change == nil ? because(facts.errorMessage) : "."
        if let given = change?.reason { text += " The reason given: \(quoted(given))" }
        return Reason(code: .cancelled, text: text, details: details)
    }
}
