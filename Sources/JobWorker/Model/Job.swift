public import FoundationEssentials
public import Postgres

/// What an attempt is told about its job. A value: what happens to the job is an `Outcome`.
public struct Job: Sendable, Hashable {
    /// Stays the same over all attempts: use it as the idempotency key towards others.
    public let id: UUID
    public let workspaceID: UUID
    public let type: String
    public let queue: String
    public let payload: JSONText
    public let priority: Int
    /// The number of this attempt, the first being 1.
    public let attempt: Int
    public let maxAttempts: Int
    /// Longest time for this attempt; `nil` for the worker's own limit.
    public let timeout: Duration?
    public let createdAt: Timestamp
    /// When it became due: the latest of created, scheduled and next retry.
    public let dueAt: Timestamp
    /// When this attempt began, by the database's clock.
    public let startedAt: Timestamp

    public init(
        id: UUID, workspaceID: UUID, type: String, queue: String = "default", payload: JSONText,
        priority: Int = 0, attempt: Int = 1, maxAttempts: Int = 5, timeout: Duration? = nil,
        createdAt: Timestamp, dueAt: Timestamp, startedAt: Timestamp
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.type = type
        self.queue = queue
        self.payload = payload
        self.priority = priority
        self.attempt = attempt
        self.maxAttempts = maxAttempts
        self.timeout = timeout
        self.createdAt = createdAt
        self.dueAt = dueAt
        self.startedAt = startedAt
    }

    /// The same with another payload.
    init(_ job: Job, payload: JSONText) {
        self.init(
            id: job.id, workspaceID: job.workspaceID, type: job.type, queue: job.queue, payload: payload,
            priority: job.priority, attempt: job.attempt, maxAttempts: job.maxAttempts, timeout: job.timeout,
            createdAt: job.createdAt, dueAt: job.dueAt, startedAt: job.startedAt)
    }
}
