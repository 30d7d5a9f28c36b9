import JobWorker
import Postgres
import Terminal

/// Jobs that have ended.
extension Account {
    /// Ended, and nothing more comes of it.
    var byHand: Next {
        Next(
            what: .retryByHand, text: "Nothing by itself. Retried, it begins anew with all its attempts.", at: nil)
    }

    var completed: Parts {
        var text = "Attempt \(facts.attempts) of \(facts.maxAttempts) completed it"
        var summary = "It completed"
        var details: [Detail] = [.init("attempt", facts.attempts), .init("max_attempts", facts.maxAttempts)]
        if let end = facts.completedAt {
            text += " at \(moment(end))"
            summary += " at \(moment(end))"
            details.append(.init("at", end))
            if let start = facts.startedAt, start <= end {
                let took = end.duration(since: start).words
                text += ", in \(took)"
                summary += ", in \(took)"
            }
        }
        return Parts(
            state: .completed, summary: summary + ".",
            reasons: [Reason(code: .completed, text: text + ".", details: details)],
            next: Next(what: .nothing, text: "Nothing: it has ended. A replay makes a new job like it.", at: nil))
    }

    var failed: Parts {
        let failure = failure
        let at = facts.failedAt.map { " at \(moment($0))" } ?? ""
        var reasons = [failure.reason]
        if facts.leaseIsOpen {
            reasons.append(Reason(code: .earlierRun, text: "Its last run hasn't ended yet.", details: []))
        }
        return Parts(
            state: .failed, summary: "It failed for good\(at): \(failure.word).", reasons: reasons, next: byHand)
    }

    var deadLetter: Parts {
        let failure = failure
        var text = "It was set aside"
        var details: [Detail] = []
        if let change = facts.lastChange, change.action == "job.set_aside" {
            text += " by \(person(change.actor)) at \(moment(change.at))."
            details = [.init("by", change.actor), .init("at", change.at)]
            if let given = change.reason { text += " The reason given: \(quoted(given))" }
        } else if facts.isSetAsideByQueue {
            text += " as soon as it had failed, as its queue '\(quoted(facts.queue))' has it."
            details = [.init("queue", facts.queue)]
        } else {
            text += "."
        }
        let at = facts.failedAt.map { " at \(moment($0))" } ?? ""
        return Parts(
            state: .deadLetter, summary: "It failed for good\(at) and was set aside: \(failure.word).",
            reasons: [Reason(code: .setAside, text: text, details: details), failure.reason],
            next: Next(
                what: .retryByHand,
                text: "Nothing by itself. Retried, it begins anew with all its attempts; discarded, it is deleted.",
                at: nil))
    }

    /// Why no further attempt follows.
    private var failure: (reason: Reason, word: String) {
        let message = because(facts.errorMessage)
        let attempt = "attempt \(facts.attempts) of \(facts.maxAttempts)"
        func reason(_ code: Explanation.Code, _ text: String, _ word: String) -> (Reason, String) {
            (Reason(code: code, text: text, details: failureDetails()), word)
        }
        if facts.workerDeaths >= 3 {
            return reason(
                .poison, "\(facts.workerDeaths) workers died running it, so it is not tried again\(message)",
                "three workers died running it")
        }
        let isTimeout = facts.errorMessage?.hasPrefix(JobFailure.timeoutStart) == true
        if facts.attempts >= facts.maxAttempts {
            let word = "its \(count(facts.maxAttempts, "attempt is", "attempts are")) used up"
            return isTimeout
                ? reason(.timeout, "The last one, \(attempt), took too long\(message)", word)
                : reason(.attemptsUsedUp, "The last one, \(attempt), failed\(message)", word)
        }
        return reason(
            .permanentError, "Its \(attempt) met an error that another attempt can't mend\(message)",
            "its error is one that another attempt can't mend")
    }
}
