import JobWorker
import Postgres
import Terminal

/// Turns facts into the parts of an explanation: one method for each way a job can stand.
struct Account {
    typealias Reason = Explanation.Reason
    typealias Next = Explanation.Next
    typealias Detail = Explanation.Detail

    struct Parts {
        let state: Explanation.State
        let summary: String
        let reasons: [Reason]
        let next: Next
    }

    let facts: JobFacts

    init(_ facts: JobFacts) { self.facts = facts }

    /// What decides, and where it comes from.
    var parts: Parts {
        let own = ownParts
        guard let replay else { return own }
        return Parts(state: own.state, summary: own.summary, reasons: own.reasons + [replay], next: own.next)
    }

    private var ownParts: Parts {
        guard facts.workspaceID != nil else {
            return unserved(.noWorkspace, "It belongs to no workspace.", "Give it its workspace_id.")
        }
        switch facts.known {
        case .pending: return pending
        case .blocked: return blocked
        case .processing: return processing
        case .completed: return completed
        case .failed: return failed
        case .deadLetter: return deadLetter
        case .cancelled: return cancelled
        case nil:
            guard let status = facts.status else {
                return unserved(.noStatus, "It has no status.", "Set its status, such as 'pending'.")
            }
            return unserved(
                .unknownStatus, "'\(quoted(status))' is no status that a worker knows.",
                "Set its status, such as 'pending'.", [.init("status", status)])
        }
    }

    func unserved(_ code: Explanation.Code, _ text: String, _ advice: String, _ details: [Detail] = []) -> Parts {
        Parts(
            state: .unserved, summary: "No worker ever takes this row. \(text)",
            reasons: [Reason(code: code, text: text, details: details)],
            next: Next(what: .repair, text: "Nothing by itself. \(advice)", at: nil))
    }

    // MARK: Words

    var isForOperators: Bool { facts.audience == .operators }

    /// `2026-03-02 08:15:00Z (in 3 min)`
    func moment(_ time: Timestamp) -> String {
        "\(time.text(fractionDigits: 0).replacing("T", with: " ")) (\(facts.asOf.duration(since: time).agoWords))"
    }

    /// A text from outside, on one line and not too long.
    func quoted(_ text: String) -> String {
        let line = text.oneLine
        return line.count > 300 ? line.prefix(299) + "…" : line
    }

    /// `: what went wrong`, or a full stop where nothing is known.
    func because(_ message: String?) -> String {
        guard let message, !message.isEmpty else { return "." }
        let text = quoted(message)
        return ": " + (text.last.map { ".!?…".contains($0) } == true ? text : text + ".")
    }

    func count(_ number: Int, _ one: String, _ many: String) -> String { "\(number) \(number == 1 ? one : many)" }

    /// `operator alice`, `a member of the workspace (2d1c…)`.
    func person(_ actor: String) -> String {
        let parts = actor.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return quoted(actor) }
        let name = quoted(String(parts[1]))
        switch parts[0] {
        case "user": return "user \(name)"
        case "operator": return "operator \(name)"
        case "role": return "the role \(name)"
        default: return quoted(actor)
        }
    }

    func failureDetails() -> [Detail] {
        var details: [Detail] = [
            .init("attempt", facts.attempts), .init("max_attempts", facts.maxAttempts),
        ]
        if let message = facts.errorMessage { details.append(.init("error", quoted(message))) }
        return details
    }

    /// That it was made from an earlier one, whose course says nothing about its own.
    private var replay: Reason? {
        guard let origin = facts.replayOf else { return nil }
        let state = origin.status.map { "which is \(quoted($0))" } ?? "which is gone"
        return Reason(
            code: .replay, text: "It is a replay of job \(origin.id.text), \(state).",
            details: [.init("replay_of", origin.id.text)]
                + (origin.status.map { [Detail("replay_of_status", quoted($0))] } ?? []))
    }

    /// A retry by hand that explains why attempts begin anew.
    var retriedByHand: Reason? {
        guard let change = facts.lastChange, change.action == "job.retry" else { return nil }
        let why = change.reason.map { " The reason given: \(quoted($0))" } ?? ""
        return Reason(
            code: .retriedByHand, text: "It was retried by \(person(change.actor)) at \(moment(change.at)).\(why)",
            details: [.init("by", change.actor), .init("at", change.at)])
    }
}

extension Explanation.Detail {
    init(_ name: String, _ text: String) { self.init(name: name, value: .text(text)) }
    init(_ name: String, _ number: Int) { self.init(name: name, value: .whole(number)) }
    init(_ name: String, _ time: Timestamp) { self.init(name: name, value: .time(time)) }
}
