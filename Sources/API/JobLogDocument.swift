import ControlPlane
import JobWorker
import Postgres

/// A row of a job's log as the API shows it.
enum JobLogDocument {
    static let columns = """
        id, job_id, log_level, left(message, 8192) AS message,
        CASE WHEN pg_column_size(metadata) <= 8192 THEN metadata END AS metadata, created_at, seq
        """

    static let schema = Schema(
        .object(
            [
                .init("id", Schema(.uuid), isRequired: true), .init("job_id", Schema(.uuid), isRequired: true),
                .init("log_level", JobDocument.word, isRequired: true),
                .init("message", JobDocument.prose, isRequired: true),
                .init("metadata", Schema(.anything), isRequired: true),
                .init("created_at", Schema(.moment).orNull, isRequired: true),
                .init("seq", JobDocument.whole, isRequired: true),
            ], isOpen: true))

    static func text(_ cursor: JobLogCursor) -> String { "\(cursor.createdAt.microseconds).\(cursor.seq)" }

    /// Where a page of rows begins.
    static let parameter = Parameter.cursor(
        "^(0|-[1-9][0-9]{0,15}|[1-9][0-9]{0,16})\\.(0|[1-9][0-9]{0,17})$",
        takes: { text in
            guard let cursor = cursor(text), JobLogDocument.text(cursor) == text, cursor.seq >= 0 else { return false }
            return cursor.createdAt.microseconds.magnitude < 100_000_000_000_000_000
                && cursor.seq < 1_000_000_000_000_000_000
        })

    /// `nil` for a text that no page gave out.
    static func cursor(_ text: String) -> JobLogCursor? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let microseconds = Int64(parts[0]), let seq = Int(parts[1]) else { return nil }
        return JobLogCursor(createdAt: Timestamp(microseconds: microseconds), seq: seq)
    }
}
