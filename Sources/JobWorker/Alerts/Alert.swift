package import FoundationEssentials
package import Postgres

/// A situation that administrators are alerted to, or were.
package struct Alert: Sendable, Hashable {
    package let id: UUID
    /// As `AlertRule` spells it; a later version may know others.
    package let rule: String
    /// A job type, a queue, or a worker as `instance@host`.
    package let subject: String
    /// A sentence without a full stop.
    package let message: String
    /// Jobs, or seconds, when it was last found so.
    package let value: Int
    package let threshold: Int
    package let since: Timestamp
    /// When it was last found so.
    package let lastAt: Timestamp
    /// `nil` while it is open.
    package let endedAt: Timestamp?
    /// The workers that found it.
    package let raisedBy: String
    package let resolvedBy: String?
    package let asOf: Timestamp

    /// What a statement selects from `job_alerts`.
    package static let columns = """
        id, rule, subject, message, value, threshold, since, last_at, ended_at, raised_by, resolved_by, \
        clock_timestamp() AS as_of
        """

    package init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        rule = try row.decode("rule")
        subject = try row.decode("subject")
        message = try row.decode("message")
        value = try row.decode("value")
        threshold = try row.decode("threshold")
        since = try row.decode("since")
        lastAt = try row.decode("last_at")
        endedAt = try row.decodeIfPresent("ended_at")
        raisedBy = try row.decode("raised_by")
        resolvedBy = try row.decodeIfPresent("resolved_by")
        asOf = try row.decode("as_of")
    }
}

/// What a look changed.
package struct AlertChange: Sendable, Hashable {
    package let alert: Alert
    package var isResolved: Bool { alert.endedAt != nil }
}
