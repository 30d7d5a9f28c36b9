package import JobWorker
import Postgres
package import Terminal

extension JobSummary {
    /// With the names of the table's columns.
    package var json: JSON { .object(members) }

    var members: [(String, JSON)] {
        [
            ("id", .string(id.text)), ("workspace_id", JSON(workspaceID?.text)), ("job_type", .string(type)),
            ("job_queue", .string(queue)), ("status", JSON(status)), ("priority", .integer(priority)),
            ("attempts", .integer(attempts)), ("max_attempts", .integer(maxAttempts)),
            ("percentage", JSON(percentage)), ("progress_message", JSON(progressMessage)),
            ("error_message", JSON(errorMessage)), ("created_at", JSON(createdAt)), ("due_at", JSON(dueAt)),
            ("scheduled_for", JSON(scheduledFor)), ("next_retry_at", JSON(nextRetryAt)),
            ("started_at", JSON(startedAt)), ("completed_at", JSON(completedAt)), ("worker_id", JSON(workerID)),
        ]
    }
}

extension JobRecord {
    /// Every column, with its name.
    var json: JSON {
        var members = summary.members.filter {
            $0.0 != "percentage" && $0.0 != "progress_message" && $0.0 != "error_message"
        }
        members += [
            ("payload", .raw(payload.text)), ("progress", progress.map { .raw($0.text) } ?? .null),
            ("result", result.map { .raw($0.text) } ?? .null), ("error_message", JSON(errorMessage)),
            ("error_stack", JSON(errorStack)), ("failed_at", JSON(failedAt)),
            ("retry_delay_seconds", JSON(retryDelaySeconds)), ("worker_heartbeat_at", JSON(workerHeartbeatAt)),
            ("created_by", JSON(createdBy?.text)), ("timeout_seconds", JSON(timeoutSeconds)),
            ("unique_key", JSON(uniqueKey)), ("workflow_id", JSON(workflowID?.text)),
            ("schedule_id", JSON(scheduleID?.text)), ("replay_of", JSON(replayOf?.text)),
            ("lease_token", JSON(leaseToken.map { Int($0) })), ("lease_open", .bool(leaseOpen)),
            ("snoozed_since", JSON(snoozedSince)), ("worker_deaths", .integer(workerDeaths)),
            ("inserted_by", JSON(insertedBy)), ("workflow_step", JSON(workflowStep)),
            ("dependents", .bool(hasDependents)), ("blockers", JSON(blockers)),
            ("cancelled_for", JSON(cancelledFor?.text)), ("error_pattern", JSON(errorPattern)),
            ("error_group", JSON(errorGroup)), ("takes_turns", takesTurns.map { .bool($0) } ?? .null),
            ("leaves_place", leavesPlace.map { .bool($0) } ?? .null),
        ]
        return .object(members)
    }
}

extension JobLogRecord {
    /// With the names of the table's columns.
    package var json: JSON {
        .object([
            ("id", .string(id.text)), ("created_at", JSON(createdAt)), ("seq", .integer(seq)),
            ("log_level", .string(level)), ("message", .string(message)),
            ("metadata", metadata.map { .raw($0.text) } ?? .null),
        ])
    }
}
