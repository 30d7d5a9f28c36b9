package import FoundationEssentials
package import Postgres

/// A job as a line of a list. Rows that the application left incomplete are shown as they are.
package struct JobSummary: Sendable, Hashable {
    package let id: UUID
    package var workspaceID: UUID?
    package let type: String
    package var queue = "default"
    /// As stored; `known` reads it.
    package var status: String?
    package var priority = 0
    package var attempts = 0
    package var maxAttempts = 5
    package var percentage: Double?
    package var progressMessage: String?
    /// Its first 1000 characters.
    package var errorMessage: String?
    package var createdAt: Timestamp?
    /// When a pending job is due: the latest of created, scheduled, next retry.
    package var dueAt: Timestamp?
    package var scheduledFor: Timestamp?
    package var nextRetryAt: Timestamp?
    package var startedAt: Timestamp?
    package var completedAt: Timestamp?
    package var workerID: String?
    /// The database's clock when it was read.
    package let asOf: Timestamp

    package init(id: UUID, type: String, status: JobStatus?, asOf: Timestamp) {
        self.id = id
        self.type = type
        self.status = status?.rawValue
        self.asOf = asOf
    }

    package var known: JobStatus? { status.flatMap { JobStatus(rawValue: $0) } }
    package var isFinal: Bool { known?.isFinal ?? false }
    package var cursor: JobCursor { JobCursor(createdAt: createdAt, id: id) }

    /// What a statement selects from a row named `jobs`.
    static let columns =
        """
        jobs.id, jobs.workspace_id, jobs.job_type, coalesce(jobs.job_queue, 'default') AS job_queue, jobs.status,
        coalesce(jobs.priority, 0) AS priority, coalesce(jobs.attempts, 0) AS attempts,
        coalesce(jobs.max_attempts, 5) AS max_attempts, jobs.progress ->> 'percentage' AS percentage,
        jobs.progress ->> 'message' AS progress_message, left(jobs.error_message, 1000) AS error_message,
        jobs.created_at, greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at,
        jobs.scheduled_for, jobs.next_retry_at, jobs.started_at, jobs.completed_at, jobs.worker_id,
        clock_timestamp() AS as_of
        """

    init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        workspaceID = try row.decodeIfPresent("workspace_id")
        type = try row.decode("job_type")
        queue = try row.decode("job_queue")
        status = try row.decodeIfPresent("status")
        priority = try row.decode("priority")
        attempts = try row.decode("attempts")
        maxAttempts = try row.decode("max_attempts")
        // Written by anybody: a percentage that is no number is none.
        percentage = try row.decodeIfPresent("percentage", as: String.self).flatMap { Double($0) }
            .flatMap { $0.isFinite ? $0 : nil }
        progressMessage = try row.decodeIfPresent("progress_message")
        errorMessage = try row.decodeIfPresent("error_message")
        createdAt = try row.decodeIfPresent("created_at")
        dueAt = try row.decodeIfPresent("due_at")
        scheduledFor = try row.decodeIfPresent("scheduled_for")
        nextRetryAt = try row.decodeIfPresent("next_retry_at")
        startedAt = try row.decodeIfPresent("started_at")
        completedAt = try row.decodeIfPresent("completed_at")
        workerID = try row.decodeIfPresent("worker_id")
        asOf = try row.decode("as_of")
    }
}
