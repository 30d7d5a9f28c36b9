import ControlPlane
import JobWorker
import Postgres

/// A job as the API shows it: the columns of the table under their names, written as JSON by the database, so that no
/// digit of a payload changes on its way.
enum JobDocument {
    /// In a list larger values are left out, so that a page stays within bounds.
    static let listedBytesMax = 16 * 1024
    /// Of one job no worker would read more.
    static let shownBytesMax = 4 * 1024 * 1024

    /// What a statement selects from a row named `jobs`.
    /// - Parameter valueBytesMax: A larger payload, result or progress is null, and named in `omitted`.
    static func columns(valueBytesMax: Int = shownBytesMax) -> String {
        let values = ["payload", "result", "progress"]
        // The size as stored first: it is known without reading the value.
        func isLarge(_ name: String) -> String {
            """
            (pg_column_size(jobs.\(name)) > \(valueBytesMax) OR octet_length(jobs.\(name)::text) > \(valueBytesMax))
            """
        }
        let omitted = values.map { "CASE WHEN \(isLarge($0)) THEN '\($0)' END" }.joined(separator: ", ")
        return """
            jobs.id, jobs.workspace_id, jobs.job_type, coalesce(jobs.job_queue, 'default') AS job_queue, jobs.status,
            coalesce(jobs.priority, 0) AS priority, coalesce(jobs.attempts, 0) AS attempts,
            coalesce(jobs.max_attempts, 5) AS max_attempts,
            \(values.map { "CASE WHEN NOT \(isLarge($0)) THEN jobs.\($0) END AS \($0)" }.joined(separator: ", ")),
            array_remove(ARRAY[\(omitted)], NULL) AS omitted,
            left(jobs.error_message, 8192) AS error_message, left(jobs.error_stack, 65536) AS error_stack,
            jobs.created_at, jobs.scheduled_for, jobs.started_at, jobs.completed_at, jobs.failed_at, jobs.next_retry_at,
            jobs.retry_delay_seconds, jobs.worker_id, jobs.worker_heartbeat_at, jobs.created_by, jobs.timeout_seconds,
            jobs.unique_key, jobs.workflow_id, jobs.schedule_id, jobs.replay_of, jobs.snoozed_since,
            jobs.worker_deaths, jobs.inserted_by, jobs.workflow_step, jobs.dependents, jobs.blockers, jobs.cancelled_for
            """
    }

    /// The columns of `columns`, in the document's words.
    static let schema = Schema(
        .object(
            [
                .init("id", Schema(.uuid), isRequired: true),
                .init("workspace_id", Schema(.uuid).orNull, isRequired: true),
                .init("job_type", word, isRequired: true),
                .init("job_queue", word, isRequired: true),
                .init(
                    "status",
                    word.orNull.noted(
                        "pending, blocked, processing, completed, failed, dead_letter or cancelled; older rows of the "
                            + "application may hold others."), isRequired: true),
                .init("priority", whole, isRequired: true),
                .init("attempts", whole.noted("Attempts begun."), isRequired: true),
                .init("max_attempts", whole, isRequired: true),
                .init("payload", Schema(.anything), isRequired: true),
                .init("result", Schema(.anything), isRequired: true),
                .init("progress", Schema(.anything), isRequired: true),
                .init(
                    "omitted",
                    Schema(
                        .list(Schema(.choice(["payload", "result", "progress"])), 0...3),
                        note: "Which of these are null here because they are large."), isRequired: true),
                .init("error_message", prose.orNull, isRequired: true),
                .init("error_stack", prose.orNull, isRequired: true),
            ]
                + [
                    "created_at", "scheduled_for", "started_at", "completed_at", "failed_at", "next_retry_at",
                    "worker_heartbeat_at", "snoozed_since",
                ].map { .init($0, Schema(.moment).orNull, isRequired: true) }
                + ["created_by", "workflow_id", "schedule_id", "replay_of", "cancelled_for"].map {
                    .init($0, Schema(.uuid).orNull, isRequired: true)
                }
                + ["retry_delay_seconds", "timeout_seconds", "blockers"].map {
                    .init($0, whole.orNull, isRequired: true)
                }
                + ["worker_id", "unique_key", "inserted_by", "workflow_step"].map {
                    .init($0, prose.orNull, isRequired: true)
                }
                + [
                    .init("worker_deaths", whole, isRequired: true),
                    .init("dependents", Schema(.boolean, note: "Other jobs wait for it, or did."), isRequired: true),
                    .init(
                        "duplicate", Schema(.boolean, note: "Another job with the same unique key is active: this one.")
                    ),
                ], isOpen: true))

    static let word = Schema(.text(0...1000, isOneLine: false))
    static let prose = Schema(.text(0...1_000_000, isOneLine: false))
    static let whole = Schema(.whole(.min ... .max))
}

/// Forms that several routes share.
extension Schema {
    static let job = Schema(.component("Job"))
    static let jobType = Schema(.text(1...100, isOneLine: true))
    static let jobQueue = Schema(.text(1...50, isOneLine: true))
    static let status = Schema(
        .choice(["pending", "blocked", "processing", "completed", "failed", "dead_letter", "cancelled"]))
    static let priority = Schema(.either([Schema(.whole(-10...10)), Schema(.choice(["high", "normal", "low"]))]))
    static let nextCursor = Schema(
        .text(1...200, isOneLine: true), note: "For the next page; null on the last one."
    ).orNull
}

extension Parameter {
    static let limit = Parameter("limit", Schema(.whole(1...200)), "Most entries of a page; 20 unless told.")

    /// Where a page of jobs begins.
    static let jobCursor = cursor(
        "^(none|0|-[1-9][0-9]{0,15}|[1-9][0-9]{0,16})\\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        takes: { text in
            // As it was given out: a cursor is nothing to be written by hand.
            guard let cursor = JobCursor(text: text), cursor.text == text else { return false }
            return cursor.createdAt.map { $0.microseconds.magnitude < 100_000_000_000_000_000 } ?? true
        })

    static func cursor(_ pattern: String, takes: @escaping @Sendable (String) -> Bool) -> Parameter {
        Parameter(
            "cursor", Schema(.pattern(pattern, takes: takes, rule: "the next_cursor of an earlier page")),
            "Where the page begins: next_cursor of the one before.")
    }
}

extension Rows {
    /// The rows of a column `row` that holds JSON.
    func json() throws(PostgresError) -> [String] {
        var texts: [String] = []
        for row in self { texts.append(try row.decode("row")) }
        return texts
    }
}
