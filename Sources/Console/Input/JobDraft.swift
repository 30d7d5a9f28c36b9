import FoundationEssentials
package import JobWorker
package import Postgres
import Terminal

/// Everything that is wrong with one job that was to be added.
package struct JobMistakes: Error, Sendable, Equatable {
    package let sentences: [String]
}

/// A job as somebody describes it, in flags or in a line of JSON, before it is checked.
package struct JobDraft: Sendable, Equatable {
    package var id: String?
    package var workspaceID: String?
    package var type: String?
    package var queue: String?
    /// JSON text.
    package var payload: String?
    /// `high`, `normal`, `low` or a number.
    package var priority: String?
    package var scheduledFor: Timestamp?
    package var maxAttempts: String?
    package var timeout: Duration?
    package var uniqueKey: String?
    package var createdBy: String?
    /// Found while it was read.
    var mistakes: [String] = []
    /// Why nothing of it could be read.
    var unreadable: String?

    /// Larger ones the worker doesn't read.
    package static let payloadBytesMax = 1 << 20
    private static let timeoutMax = Duration.seconds(2_592_000)

    package init() {}

    /// - Throws: All mistakes at once.
    package func checked() throws(JobMistakes) -> NewJob {
        if let unreadable { throw JobMistakes(sentences: [unreadable]) }
        var mistakes = mistakes
        let id = uuid(id, "id", &mistakes)
        let createdBy = uuid(createdBy, "created_by", &mistakes)
        if workspaceID == nil { mistakes.append("the workspace is missing (--workspace UUID)") }
        let workspaceID = uuid(workspaceID, "workspace_id", &mistakes)
        check(type, "job_type", 1...100, &mistakes)
        if type == nil, !mistakes.contains(where: { $0.hasPrefix("job_type ") }) {
            mistakes.append("the job type is missing")
        }
        check(queue, "job_queue", 1...50, &mistakes)
        check(uniqueKey, "unique_key", 1...255, &mistakes)
        let payload = payload ?? "{}"
        if payload.utf8.count > JobDraft.payloadBytesMax {
            mistakes.append("the payload has more than \(JobDraft.payloadBytesMax) bytes; store the data elsewhere")
        } else if let problem = JSONMembers.problem(payload) {
            mistakes.append("the payload \(problem)")
        }
        let priority = Priority(text: priority ?? "normal")
        if priority == nil {
            mistakes.append(
                "priority must be high, normal, low or a whole number from -10 to 10, not '\(shown(self.priority))'")
        }
        let attempts = maxAttempts.map { Int($0) } ?? 5
        if !(1...100).contains(attempts ?? 0) {
            mistakes.append("max_attempts must be a whole number from 1 to 100, not '\(shown(maxAttempts))'")
        }
        if let timeout, timeout < .seconds(1) || timeout > JobDraft.timeoutMax || timeout.components.attoseconds != 0 {
            mistakes.append("the time-out must be whole seconds, from 1 s to 30 days")
        }
        guard mistakes.isEmpty, let workspaceID, let type, let priority, let attempts else {
            throw JobMistakes(sentences: mistakes)
        }
        return NewJob(
            id: id ?? UUID(), workspaceID: workspaceID, type: type, payload: JSONText(payload),
            queue: queue ?? "default",
            priority: priority, scheduledFor: scheduledFor, maxAttempts: attempts, timeout: timeout,
            uniqueKey: uniqueKey, createdBy: createdBy)
    }

    /// As `checked`, with the mistakes as a complaint.
    package func checkedForCommand() throws(Complaint) -> NewJob {
        do throws(JobMistakes) {
            return try checked()
        } catch {
            let mistakes =
                error.sentences.count == 1
                ? error.sentences[0] : "the job can't be added:" + error.sentences.map { "\n  \($0)" }.joined()
            throw Complaint(.usage, mistakes, advice: "Nothing was added.")
        }
    }

    private func uuid(_ text: String?, _ name: String, _ mistakes: inout [String]) -> UUID? {
        guard let text else { return nil }
        guard let id = UUID(uuidString: text) else {
            mistakes.append("\(name) must be a UUID, not '\(shown(text))'")
            return nil
        }
        return id
    }

    private func check(_ text: String?, _ name: String, _ length: ClosedRange<Int>, _ mistakes: inout [String]) {
        guard let text else { return }
        if !length.contains(text.unicodeScalars.count) {
            mistakes.append("\(name) must have \(length.lowerBound) to \(length.upperBound) characters")
        } else if text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
            mistakes.append("\(name) holds a control character")
        }
    }

    private func shown(_ text: String?) -> String { (text ?? "").shortened(to: 40).oneLine }
}
