package import FoundationEssentials
package import Postgres

/// Where events of a workspace's jobs are sent, or alerts.
package struct WebhookEndpoint: Sendable, Hashable {
    package let id: UUID
    /// `nil` for one of operators, which is told of alerts.
    package let workspaceID: UUID?
    package let url: String
    /// `nil` for all.
    package let events: [String]?
    /// `nil` for all.
    package let jobTypes: [String]?
    package let isEnabled: Bool
    /// Tries that failed since the last one that didn't.
    package let consecutiveFailures: Int
    /// Why the program disabled it.
    package let disabledReason: String?
    /// Nothing is sent before, as tries fail one after the other.
    package let retryAt: Timestamp?
    package let createdAt: Timestamp
    package let asOf: Timestamp

    /// What a statement selects from `webhook_endpoints`.
    package static let columns = """
        id, workspace_id, url, events, job_types, enabled, consecutive_failures, disabled_reason, retry_at, created_at, \
        clock_timestamp() AS as_of
        """

    package init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        workspaceID = try row.decodeIfPresent("workspace_id")
        url = try row.decode("url")
        events = try row.decodeIfPresent("events")
        jobTypes = try row.decodeIfPresent("job_types")
        isEnabled = try row.decode("enabled")
        consecutiveFailures = try row.decode("consecutive_failures")
        disabledReason = try row.decodeIfPresent("disabled_reason")
        retryAt = try row.decodeIfPresent("retry_at")
        createdAt = try row.decode("created_at")
        asOf = try row.decode("as_of")
    }
}

/// What became of an event for an endpoint.
package struct WebhookDeliveryRecord: Sendable, Hashable {
    package let id: UUID
    package let endpointID: UUID
    package let workspaceID: UUID?
    package let jobID: UUID?
    package let event: String
    /// `pending`, `delivered` or `failed`.
    package let status: String
    package let attempts: Int
    package let nextAttemptAt: Timestamp?
    package let responseStatus: Int?
    package let error: String?
    package let createdAt: Timestamp
    package let deliveredAt: Timestamp?
    package let asOf: Timestamp

    /// What a statement selects from `webhook_deliveries`.
    package static let columns = """
        id, endpoint_id, workspace_id, job_id, event, status, attempts, next_attempt_at, response_status, error, \
        created_at, delivered_at, clock_timestamp() AS as_of
        """

    package init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        endpointID = try row.decode("endpoint_id")
        workspaceID = try row.decodeIfPresent("workspace_id")
        jobID = try row.decodeIfPresent("job_id")
        event = try row.decode("event")
        status = try row.decode("status")
        attempts = try row.decode("attempts")
        nextAttemptAt = try row.decodeIfPresent("next_attempt_at")
        responseStatus = try row.decodeIfPresent("response_status")
        error = try row.decodeIfPresent("error")
        createdAt = try row.decode("created_at")
        deliveredAt = try row.decodeIfPresent("delivered_at")
        asOf = try row.decode("as_of")
    }
}

/// Why a webhook can't be shown or changed.
package enum WebhookRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// `what` as "the webhook …".
    case notFound(what: String)
    /// Holds a sentence.
    case invalid(String)
    /// Its state doesn't allow it. Holds a sentence.
    case conflict(String)

    package var description: String {
        switch self {
        case .notFound(let what): "there is no \(what)"
        case .invalid(let sentence), .conflict(let sentence): sentence
        }
    }
}
