import JobWorker
import Postgres
import Terminal

extension JobDraft {
    /// Reads a job from a line of JSON with the column names of `jobs`; what it leaves out comes from `defaults`.
    /// Mistakes wait for `checked()`.
    package init(json line: String, defaults: JobDraft) {
        self = defaults
        guard JSONMembers.problem(line) == nil, let members = JSONMembers.split(line) else {
            unreadable = "it \(JSONMembers.problem(line) ?? "is JSON, but no object")"
            return
        }
        for (name, text) in members.sorted(by: { $0.key < $1.key }) where text != "null" {
            switch name {
            case "id": id = string(text, name)
            case "workspace_id": workspaceID = string(text, name)
            case "job_type": type = string(text, name)
            case "job_queue": queue = string(text, name)
            case "payload": payload = text
            case "priority": priority = text.hasPrefix("\"") ? string(text, name) : text
            case "scheduled_for": read(scheduled: text)
            case "max_attempts": maxAttempts = text
            case "timeout_seconds": read(timeout: text)
            case "unique_key": uniqueKey = string(text, name)
            case "created_by": createdBy = string(text, name)
            default:
                mistakes.append(
                    "'\(name.shortened(to: 40).oneLine)' is no field of a job: there are \(JobDraft.names.joined(separator: ", "))"
                )
            }
        }
    }

    private static let names = [
        "workspace_id", "job_type", "payload", "job_queue", "priority", "scheduled_for", "max_attempts",
        "timeout_seconds", "unique_key", "created_by", "id",
    ]

    private mutating func string(_ json: String, _ name: String) -> String? {
        if let text = try? JSONText(json).decode(String.self) { return text }
        mistakes.append("\(name) must be a text")
        return nil
    }

    private mutating func read(scheduled json: String) {
        scheduledFor = (try? JSONText(json).decode(String.self)).flatMap { Timestamp(text: $0) }
        if scheduledFor == nil {
            mistakes.append("scheduled_for must be a time with its zone, as 2026-03-02T08:15:00Z")
        }
    }

    private mutating func read(timeout json: String) {
        if let seconds = Int(json), (1...2_592_000).contains(seconds) {
            timeout = .seconds(seconds)
        } else {
            mistakes.append("timeout_seconds must be a whole number from 1 to 2592000")
        }
    }
}
