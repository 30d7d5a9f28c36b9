public import FoundationEssentials
public import Postgres

/// A job to add.
public struct NewJob: Sendable, Hashable {
    public var id: UUID
    public var workspaceID: UUID
    public var type: String
    public var queue: String
    public var payload: JSONText
    public var priority: Priority
    /// Not before this time; `nil` for at once.
    public var scheduledFor: Timestamp?
    /// Starts allowed, 1 or more.
    public var maxAttempts: Int
    /// Longest time for an attempt; `nil` for the worker's own limit.
    public var timeout: Duration?
    /// While a job of this workspace and type with the same key is pending, blocked or processing, no other is added.
    public var uniqueKey: String?
    public var createdBy: UUID?

    public init(
        id: UUID = UUID(), workspaceID: UUID, type: String, payload: JSONText, queue: String = "default",
        priority: Priority = .normal, scheduledFor: Timestamp? = nil, maxAttempts: Int = 5,
        timeout: Duration? = nil, uniqueKey: String? = nil, createdBy: UUID? = nil
    ) {
        self.id = id
        self.workspaceID = workspaceID
        self.type = type
        self.queue = queue
        self.payload = payload
        self.priority = priority
        self.scheduledFor = scheduledFor
        self.maxAttempts = maxAttempts
        self.timeout = timeout
        self.uniqueKey = uniqueKey
        self.createdBy = createdBy
    }
}

/// What became of a job that was to be added.
public struct EnqueuedJob: Sendable, Hashable {
    /// The job's id, or that of the active job with the same unique key.
    public let id: UUID
    public let isDuplicate: Bool

    package init(id: UUID, isDuplicate: Bool) {
        self.id = id
        self.isDuplicate = isDuplicate
    }
}
