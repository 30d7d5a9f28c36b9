/// What a webhook tells of.
package enum WebhookEvent: String, Sendable, Hashable, CaseIterable {
    case completed = "job.completed"
    /// No attempt follows.
    case failed = "job.failed"
    case deadLetter = "job.dead_letter"
    case cancelled = "job.cancelled"
    /// An attempt failed, and another follows.
    case retried = "job.retried"
}
