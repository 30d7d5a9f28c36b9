import Postgres
import Terminal

/// Jobs that have not begun, or not again.
extension Account {
    var pending: Parts {
        guard facts.attempts < facts.maxAttempts else {
            let text = "It has begun \(facts.attempts) of \(count(facts.maxAttempts, "attempt", "attempts"))."
            return unserved(
                .attemptsUsedUp, text, "Set attempts to 0, or cancel and retry it.", failureDetails())
        }
        guard let due = facts.dueAt else {
            return unserved(
                .noTime, "It has neither created_at nor scheduled_for, so it is never due.", "Set its created_at.")
        }
        return facts.isDue ? dueJob(since: due) : notDue(until: due)
    }

    // MARK: Not due

    private func notDue(until due: Timestamp) -> Parts {
        let state: Explanation.State
        let summary: String
        let reason: Reason
        if facts.nextRetryAt == due, facts.snoozedSince != nil {
            state = .snoozed
            summary = "Put off until \(moment(due)), as it was asked to wait."
            reason = snoozed(until: due)
        } else if facts.nextRetryAt == due {
            state = .retrying
            summary = "Waits for its next attempt, due \(moment(due))."
            reason = Reason(
                code: .retryDelay,
                text: "Attempt \(facts.attempts) of \(facts.maxAttempts) failed\(because(facts.errorMessage)) "
                    + "The next one is due \(moment(due)).",
                details: failureDetails() + [.init("until", due)])
        } else {
            state = .scheduled
            summary = "Not due yet: it is scheduled for \(moment(due))."
            reason = Reason(
                code: .scheduled, text: "It is scheduled for \(moment(due)).", details: [.init("until", due)])
        }
        var reasons = [reason]
        if state == .scheduled, let failure = lastFailure { reasons.append(failure) }
        if let suspect { reasons.append(suspect) }
        // What would keep it from starting then, if nothing changed.
        let obstacles = obstacles.filter { $0.reason.code != .slotsBusy }
        reasons += obstacles.map(\.reason) + prospects
        if let retried = retriedByHand { reasons.append(retried) }
        let next: Next
        if let first = obstacles.first {
            next = Next(what: first.what, text: "It is due \(moment(due)). \(first.next)", at: due)
        } else {
            next = Next(what: .start, text: "A worker starts it when it is due, at \(moment(due)).", at: due)
        }
        return Parts(state: state, summary: summary, reasons: reasons, next: next)
    }

    private func snoozed(until due: Timestamp) -> Reason {
        var text = "It waits until \(moment(due))\(because(facts.errorMessage)) The attempt doesn't count."
        var details: [Detail] = [.init("until", due)]
        if let since = facts.snoozedSince {
            let end = since.advanced(by: .seconds(86_400))
            text += " It has been put off since \(moment(since)); from \(moment(end)) on that counts as a failure."
            details += [.init("since", since), .init("counts_as_failure_from", end)]
        }
        if let message = facts.errorMessage { details.append(.init("error", quoted(message))) }
        return Reason(code: .snoozed, text: text, details: details)
    }

    /// What an attempt before this wait ended with.
    private var lastFailure: Reason? {
        guard facts.attempts > 0, facts.errorMessage != nil else { return nil }
        return Reason(
            code: .lastFailure,
            text: "Attempt \(facts.attempts) of \(facts.maxAttempts) failed\(because(facts.errorMessage))",
            details: failureDetails())
    }

    private var suspect: Reason? {
        guard facts.workerDeaths > 0 else { return nil }
        let times = facts.workerDeaths == 1 ? "A worker" : "\(facts.workerDeaths) workers"
        return Reason(
            code: .suspect,
            text: "\(times) died while running it; with the third it fails for good. Until it ends otherwise, a worker "
                + "runs it only while it runs no other job of this kind.",
            details: [.init("deaths", facts.workerDeaths), .init("deaths_max", 3)])
    }

    // MARK: Due

    /// Something that keeps a due job from starting.
    private struct Obstacle {
        let reason: Reason
        /// Follows "Due since …, but ".
        let clause: String
        let what: Next.What
        let next: String
    }

    private func dueJob(since due: Timestamp) -> Parts {
        let obstacles = obstacles
        var reasons = obstacles.map(\.reason)
        if let ahead = jobsAhead { reasons.append(ahead) }
        reasons += progressInLine
        if let suspect { reasons.append(suspect) }
        if let failure = lastFailure { reasons.append(failure) }
        if obstacles.isEmpty {
            let text = "Nothing keeps it from starting: a worker that serves it has a free slot."
            reasons.insert(Reason(code: .nothing, text: text, details: []), at: 0)
        }
        reasons += prospects
        if let retried = retriedByHand { reasons.append(retried) }
        guard let first = obstacles.first else {
            return Parts(
                state: .waiting, summary: "Due since \(moment(due)); a worker takes it with its next look.",
                reasons: reasons, next: Next(what: .start, text: "A worker starts it within moments.", at: nil))
        }
        return Parts(
            state: .waiting, summary: "Due since \(moment(due)), but \(first.clause).", reasons: reasons,
            next: Next(
                what: first.what, text: first.next,
                at: first.reason.code == .earlierRun
                    ? facts.staleAt
                    : first.reason.code == .rateLimit ? exhaustedLimit?.at : nil))
    }

    /// The one that has to go first at the start.
    private var obstacles: [Obstacle] {
        [earlierRun, pause, service, limit, limitOnIt, slots].compactMap(\.self)
    }

    private var earlierRun: Obstacle? {
        guard facts.leaseIsOpen, let stale = facts.staleAt, stale > facts.asOf else { return nil }
        return Obstacle(
            reason: Reason(
                code: .earlierRun,
                text:
                    "An earlier run of it, which was cancelled, hasn't ended yet. It starts when that has ended, or when "
                    + "nothing was heard of it until \(moment(stale)).",
                details: [.init("until", stale)]),
            clause: "an earlier run of it hasn't ended yet", what: .start,
            next:
                "It starts when its earlier run has ended, at the latest when that stays silent until \(moment(stale))."
        )
    }

    private var pause: Obstacle? {
        guard let pause = facts.pause else { return nil }
        var details: [Detail] = [.init("queue", facts.queue), .init("since", pause.since)]
        if let by = pause.by { details.append(.init("by", by)) }
        let by = pause.by.map { " by \(person($0))" } ?? ""
        return Obstacle(
            reason: Reason(
                code: .queuePaused,
                text: "The queue '\(quoted(facts.queue))' was paused\(by) at \(moment(pause.since)).", details: details),
            clause: "its queue is paused", what: .resumeQueue,
            next: "It starts once somebody resumes the queue '\(quoted(facts.queue))'.")
    }

    /// Nobody who would run it.
    private var service: Obstacle? {
        let workers = facts.workers
        let type = quoted(facts.type), queue = quoted(facts.queue)
        func obstacle(_ code: Explanation.Code, _ text: String, _ clause: String, _ next: String) -> Obstacle {
            var details: [Detail] = [.init("job_type", facts.type), .init("queue", facts.queue)]
            if isForOperators { details.append(.init("workers", workers.alive)) }
            return Obstacle(
                reason: Reason(code: code, text: text, details: details), clause: clause, what: .addWorker, next: next)
        }
        if workers.alive == 0 {
            return obstacle(
                .noWorker, "No worker is alive.", "no worker is alive", "It starts once a worker runs that serves it.")
        }
        // As "none of the 3 live workers serves".
        let none =
            isForOperators && workers.alive == 1
            ? "The only live worker doesn't serve"
            : "None of the \(isForOperators ? "\(workers.alive) " : "")live workers serves"
        if workers.servingType == 0 {
            return obstacle(
                .typeUnserved, "\(none) the type '\(type)'.", "no live worker serves its type",
                "It starts once a worker runs that serves the type '\(type)'.")
        }
        if workers.servingQueue == 0 {
            return obstacle(
                .queueUnserved, "\(none) the queue '\(queue)'.", "no live worker serves its queue",
                "It starts once a worker runs that serves the queue '\(queue)'.")
        }
        if workers.serving == 0 {
            return obstacle(
                .unservedTogether,
                "Workers that serve the type '\(type)' don't serve the queue '\(queue)', and the other way round.",
                "no live worker serves both its type and its queue",
                "It starts once a worker runs that serves the type '\(type)' in the queue '\(queue)'.")
        }
        return nil
    }

    private var limit: Obstacle? {
        guard let limit = facts.limit, limit.isReached else { return nil }
        var details: [Detail] = [.init("queue", facts.queue)]
        if let most = limit.most { details.append(.init("max_running", most)) }
        if !limit.holders.isEmpty { details.append(.init("held_by", limit.holders.joined(separator: " "))) }
        let name = "The queue '\(quoted(facts.queue))'"
        let text =
            switch limit.most {
            case 0: "\(name) is set to run no job."
            case let most?:
                "\(name) runs at most \(count(most, "job", "jobs")) at once over all workers, and that many run."
                    + held(limit.holders)
            case nil: "\(name) runs as many jobs as it may at once over all workers."
            }
        return Obstacle(
            reason: Reason(code: .queueLimit, text: text, details: details),
            clause: limit.most == 0 ? "its queue is set to run none" : "as many jobs of its queue run as may at once",
            what: .start, next: "It starts when running jobs of the queue end and it is its turn.")
    }

    private func held(_ holders: [String]) -> String {
        holders.isEmpty ? "" : " The longest: \(holders.map(quoted).joined(separator: ", "))."
    }

    private var limitOnIt: Obstacle? {
        exhaustedLimit.map { Obstacle(reason: $0.reason, clause: $0.clause, what: .start, next: $0.next) }
    }

    private var slots: Obstacle? {
        let workers = facts.workers
        guard workers.serving > 0, workers.busy >= workers.slots else { return nil }
        let text: String
        var details: [Detail] = []
        if isForOperators {
            text =
                "Every slot of the workers that serve it is taken: "
                + "\(count(workers.slots, "slot", "slots")) of \(count(workers.serving, "worker", "workers"))."
            details = [.init("slots", workers.slots), .init("workers", workers.serving)]
        } else {
            text = "Every slot of the workers that serve it is taken."
        }
        return Obstacle(
            reason: Reason(code: .slotsBusy, text: text, details: details), clause: "every slot is taken", what: .start,
            next: "It starts when running jobs end and it is its turn.")
    }

    private var jobsAhead: Reason? {
        let ahead = facts.ahead
        guard ahead.count > 0 || (ahead.isAtLeast && isForOperators) else { return nil }
        let place = isForOperators ? "of its queue" : "of the workspace in its queue"
        let number = (ahead.isAtLeast ? "At least " : "") + count(ahead.count, "due job", "due jobs")
        return Reason(
            code: .jobsAhead,
            text:
                "\(number) \(place) \(ahead.count == 1 ? "comes" : "come") before it, by priority or by waiting longer.",
            details: [.init("count", ahead.count), .init(name: "is_at_least", value: .flag(ahead.isAtLeast))])
    }

    // MARK: Once it starts

    /// What will make it fail, as things are.
    private var prospects: [Reason] {
        var reasons: [Reason] = []
        if facts.insertedBy == "authenticated", facts.workers.serving > 0,
            facts.workers.refusingMembers == facts.workers.serving
        {
            reasons.append(
                Reason(
                    code: .operatorsOnly,
                    text:
                        "It was added by a member of the workspace, but the type '\(quoted(facts.type))' is for operators: "
                        + "it fails when a worker takes it.",
                    details: [.init("job_type", facts.type)]))
        }
        guard let workspace = facts.workspace else { return reasons }
        if let status = workspace.status, status != "active" {
            reasons.append(
                Reason(
                    code: .workspaceInactive,
                    text: "The workspace is \(quoted(status)): unless that changes, it fails when a worker takes it.",
                    details: [.init("workspace_status", status)]))
        }
        if !workspace.hasKey {
            reasons.append(
                Reason(
                    code: .keyMissing,
                    text:
                        "The workspace has no Apollo key: unless an admin enters one, it fails when a worker takes it.",
                    details: []))
        } else if let until = workspace.refusedUntil {
            reasons.append(
                Reason(
                    code: .keyRefused,
                    text:
                        "Apollo refused the workspace's key. Until \(moment(until)), or until the key is set or tested "
                        + "anew, jobs may fail without asking again.",
                    details: [.init("until", until)]))
        }
        return reasons
    }

    // MARK: Blocked

    var blocked: Parts {
        let parents = facts.parents
        guard parents.openCount > 0 else {
            let text =
                parents.count == 0
                ? "It waits for other jobs, but none is named for it." : "All jobs that it waited for have completed."
            return Parts(
                state: .blocked, summary: text, reasons: [Reason(code: .dependencies, text: text, details: [])],
                next: Next(
                    what: .parents,
                    text: "A worker lets it go on when it next looks. If it doesn't, cancel and retry it.", at: nil))
        }
        let named = parents.open.map { parent in
            let failing =
                parent.onFailure == "run"
                ? "Should it fail, this one runs all the same"
                : "Should it fail, this one is cancelled"
            return Reason(
                code: .dependencies,
                text: "It waits for the job \(parent.id.text) (\(quoted(parent.type))), now "
                    + "\(parent.status.map(quoted) ?? "without a status"). \(failing).",
                details: [
                    .init("depends_on_job_id", parent.id.text), .init("depends_on_status", parent.status ?? ""),
                    .init("on_failure", parent.onFailure),
                ])
        }
        let more = parents.openCount - parents.open.count
        let rest =
            more > 0
            ? [
                Reason(
                    code: .dependencies, text: "And for \(count(more, "other job", "other jobs")).",
                    details: [.init("count", more)])
            ] : []
        return Parts(
            state: .blocked,
            summary: "Waits for \(count(parents.openCount, "other job", "other jobs")).",
            reasons: named + rest + obstacles.filter { $0.reason.code == .queuePaused }.map(\.reason) + prospects,
            next: Next(
                what: .parents,
                text: parents.openCount == 1
                    ? "It is due when that job has ended." : "It is due when all of these jobs have ended.", at: nil))
    }
}
