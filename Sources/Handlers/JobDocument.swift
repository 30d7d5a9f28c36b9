import FoundationEssentials
import JobWorker

/// A job as its program or endpoint is told: the columns of its row that concern the work, on one line.
struct JobDocument {
    let text: String

    /// - Parameter attemptToken: For progress and log rows by HTTP; only for endpoints.
    init(_ job: Job, attemptToken: String? = nil) throws {
        func quoted(_ text: String) throws -> String { try JSONText(encoding: text).text }
        var members = [
            "\"id\":\"\(job.id.uuidString.lowercased())\"",
            "\"workspace_id\":\"\(job.workspaceID.uuidString.lowercased())\"",
            "\"job_type\":\(try quoted(job.type))", "\"job_queue\":\(try quoted(job.queue))",
            "\"payload\":\(job.payload.text.filter { $0 != "\n" && $0 != "\r\n" && $0 != "\r" })",
            "\"priority\":\(job.priority)", "\"attempts\":\(job.attempt)", "\"max_attempts\":\(job.maxAttempts)",
            "\"created_at\":\"\(job.createdAt)\"", "\"started_at\":\"\(job.startedAt)\"",
        ]
        if let attemptToken { members.append("\"attempt_token\":\(try quoted(attemptToken))") }
        text = "{\(members.joined(separator: ","))}"
    }
}
