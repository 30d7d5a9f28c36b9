/// What a webhook tells of.
package enum WebhookEvent: String, Sendable, Hashable, CaseIterable {
    case completed = "job.completed"
    /// No attempt follows.
    case failed = "job.failed"
    case deadLetter = "job.dead_letter"
    case cancelled = "job.cancelled"
    /// An attempt failed, and another follows.
    case retried = "job.retried"
    /// Something is wrong with the whole; told to operators' endpoints.
    case alertRaised = "alert.raised"
    case alertResolved = "alert.resolved"

    /// Whether it is told to endpoints that belong to no workspace, and to no others.
    package var isForOperators: Bool { self == .alertRaised || self == .alertResolved }
}
