import ControlPlane

/// Answers of the last moment, shared by all who may see the same: fifty open pages ask the database once.
///
/// A page asks for what changed some time after it heard of the change, and that time is longer than anything is kept
/// here: what it then gets is never older than the change.
actor Shared<Key: Hashable & Sendable, Value: Sendable> {
    /// Shorter than the script's pause between hearing of a change and asking.
    static var lifetime: Duration { .milliseconds(500) }

    private struct Entry {
        let task: Task<Value, any Error>
        let since: ContinuousClock.Instant
    }

    private let lifetime: Duration
    private var entries: [Key: Entry] = [:]

    init(lifetime: Duration = Shared.lifetime) { self.lifetime = lifetime }

    func value(of key: Key, _ read: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let now = ContinuousClock.now
        if let entry = entries[key], entry.since > now - lifetime { return try await entry.task.value }
        entries = entries.filter { $0.value.since > now - lifetime }
        let task = Task { try await read() }
        entries[key] = Entry(task: task, since: now)
        return try await task.value
    }

    /// After a change by somebody here: who made it sees it at once.
    func forget() { entries = [:] }
}

/// Who sees the same as somebody else: all operators; a member what that member's token opens.
enum Viewer: Sendable, Hashable {
    case `operator`
    case other(Caller)

    init(_ caller: Caller) {
        if case .operator = caller { self = .operator } else { self = .other(caller) }
    }
}
