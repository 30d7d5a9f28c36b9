package import FoundationEssentials
package import Postgres

/// A job with all its columns, as stored.
package struct JobRecord: Sendable {
    package let summary: JobSummary
    package let payload: JSONText
    package var progress: JSONText?
    package var result: JSONText?
    package var errorMessage: String?
    package var errorStack: String?
    package var failedAt: Timestamp?
    package var retryDelaySeconds: Int?
    package var workerHeartbeatAt: Timestamp?
    package var createdBy: UUID?
    package var timeoutSeconds: Int?
    package var uniqueKey: String?
    package var workflowID: UUID?
    /// Its name within its workflow.
    package var workflowStep: String?
    /// Other jobs wait for it, or did.
    package var hasDependents = false
    /// How many of its parents haven't ended; `nil` where it has none.
    package var blockers: Int?
    /// The parent because of which it was cancelled.
    package var cancelledFor: UUID?
    package var scheduleID: UUID?
    package var replayOf: UUID?
    package var leaseToken: Int64?
    /// A process still runs it, be it cancelled or not.
    package var leaseOpen = false
    package var snoozedSince: Timestamp?
    package var workerDeaths = 0
    /// The database role that added it; `nil` for rows older than the column.
    package var insertedBy: String?
    /// Of its last failure for good: the error without what differs from job to job, and a short name for its like.
    package var errorPattern: String?
    package var errorGroup: String?
    /// It is in the index of turns and limits.
    package var takesTurns: Bool?
    /// Its run counts for a cap or a limit.
    package var leavesPlace: Bool?

    package init(summary: JobSummary, payload: JSONText) {
        self.summary = summary
        self.payload = payload
    }

    /// What a statement selects from a row named `jobs`.
    static let columns =
        JobSummary.columns + """
            , jobs.payload, jobs.progress, jobs.result, jobs.error_message AS whole_error_message, jobs.error_stack,
            jobs.failed_at, jobs.retry_delay_seconds, jobs.worker_heartbeat_at, jobs.created_by, jobs.timeout_seconds,
            jobs.unique_key, jobs.workflow_id, jobs.schedule_id, jobs.replay_of, jobs.lease_token, jobs.lease_open,
            jobs.snoozed_since, jobs.worker_deaths, jobs.inserted_by, jobs.workflow_step, jobs.dependents, jobs.blockers,
            jobs.cancelled_for, jobs.error_pattern, jobs.error_group, jobs.takes_turns, jobs.leaves_place
            """

    init(_ row: Row) throws(PostgresError) {
        summary = try JobSummary(row)
        payload = try row.decode("payload")
        progress = try row.decodeIfPresent("progress")
        result = try row.decodeIfPresent("result")
        errorMessage = try row.decodeIfPresent("whole_error_message")
        errorStack = try row.decodeIfPresent("error_stack")
        failedAt = try row.decodeIfPresent("failed_at")
        retryDelaySeconds = try row.decodeIfPresent("retry_delay_seconds")
        workerHeartbeatAt = try row.decodeIfPresent("worker_heartbeat_at")
        createdBy = try row.decodeIfPresent("created_by")
        timeoutSeconds = try row.decodeIfPresent("timeout_seconds")
        uniqueKey = try row.decodeIfPresent("unique_key")
        workflowID = try row.decodeIfPresent("workflow_id")
        workflowStep = try row.decodeIfPresent("workflow_step")
        hasDependents = try row.decode("dependents")
        blockers = try row.decodeIfPresent("blockers")
        cancelledFor = try row.decodeIfPresent("cancelled_for")
        scheduleID = try row.decodeIfPresent("schedule_id")
        replayOf = try row.decodeIfPresent("replay_of")
        leaseToken = try row.decodeIfPresent("lease_token")
        leaseOpen = try row.decode("lease_open")
        snoozedSince = try row.decodeIfPresent("snoozed_since")
        workerDeaths = try row.decode("worker_deaths")
        insertedBy = try row.decodeIfPresent("inserted_by")
        errorPattern = try row.decodeIfPresent("error_pattern")
        errorGroup = try row.decodeIfPresent("error_group")
        takesTurns = try row.decodeIfPresent("takes_turns")
        leavesPlace = try row.decodeIfPresent("leaves_place")
    }
}
