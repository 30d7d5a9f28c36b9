package import JobWorker
import Postgres
package import Terminal

/// A job that was added, and how it ended if somebody waited for that.
package struct EnqueuedView: View {
    private let enqueued: EnqueuedJob
    private let ended: JobRecord?

    package init(_ enqueued: EnqueuedJob, ended: JobRecord? = nil) {
        self.enqueued = enqueued
        self.ended = ended
    }

    package func text(for screen: Screen) -> String { enqueued.id.text + "\n" }

    package var json: JSON {
        var members: [(String, JSON)] = [
            ("id", .string(enqueued.id.text)), ("duplicate", .bool(enqueued.isDuplicate)),
        ]
        if let ended {
            members += [
                ("status", JSON(ended.summary.status)), ("attempts", .integer(ended.summary.attempts)),
                ("result", ended.result.map { .raw($0.text) } ?? .null), ("error_message", JSON(ended.errorMessage)),
            ]
        }
        return .object(members)
    }
}

extension JobSummary {
    /// Why a wait for it has failed; `nil` where it completed.
    package var complaint: Complaint? {
        guard known != .completed else { return nil }
        let reason = errorMessage.map { ": \($0.manyLines)" } ?? ""
        return Complaint(.failed, "job \(id.text) is \(status ?? "without a status")\(reason)")
    }
}
