import Postgres
import Terminal

/// What limits, turns and ageing mean for a job that waits.
extension Account {
    var exhaustedLimit: (reason: Reason, clause: String, next: String, at: Timestamp?)? {
        // The one that takes longest decides: of those without a time nobody knows.
        let limits = facts.exhausted
        guard
            let limit = limits.first(where: { $0.nextAt == nil })
                ?? limits.max(by: { ($0.nextAt ?? facts.asOf) < ($1.nextAt ?? facts.asOf) })
        else { return nil }
        let name = limit.name.map { "The limit '\(quoted($0))'" } ?? "A limit on its type or its workspace"
        var details: [Detail] = []
        if let name = limit.name { details.append(.init("limit", name)) }
        if let most = limit.most { details.append(.init("max_running", most)) }
        if let next = limit.nextAt {
            details.append(.init("next_at", next))
            return (
                Reason(
                    code: .rateLimit, text: "\(name) lets nothing start now; the next may start \(moment(next)).",
                    details: details),
                "a rate lets nothing start now", "It starts when the rate allows it and it is its turn.", next
            )
        }
        let text =
            switch limit.most {
            case 0: "\(name) is set to let none run."
            case let most?:
                "\(name) lets \(count(most, "job", "jobs")) run at once over all workers, and that many run."
            case nil: "\(name) lets no more run at once."
            }
        return (
            Reason(code: .jobLimit, text: text, details: details),
            limit.most == 0 ? "a limit lets none run" : "as many run as a limit allows",
            "It starts when running jobs that the limit counts end and it is its turn.", nil
        )
    }

    /// How it moves forward while it waits.
    var progressInLine: [Reason] {
        var reasons: [Reason] = []
        if let sharers = facts.rules.sharers, sharers > 1 || facts.audience == .members {
            reasons.append(
                Reason(
                    code: .turns,
                    text: facts.audience == .members
                        ? "In its queue workspaces take turns."
                        : "In its queue \(sharers) workspaces take turns: its own gives one job in each round.",
                    details: facts.audience == .members ? [] : [.init("workspaces", sharers)]))
        }
        if let ageing = facts.rules.ageing, let due = facts.dueAt, ageing > .zero, facts.ahead.count > 0 {
            let steps = Int(facts.asOf.duration(since: due) / ageing)
            reasons.append(
                Reason(
                    code: .ageing,
                    text: "Each \(ageing.words) of waiting counts as a step of priority: so far "
                        + "\(count(steps, "step", "steps")).",
                    details: [.init("steps", steps)]))
        }
        return reasons
    }
}
