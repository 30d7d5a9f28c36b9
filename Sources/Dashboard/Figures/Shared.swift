import ControlPlane

/// Answers of the last moment, shared by all who may see the same: fifty open pages ask the database once.
///
/// A page asks for what changed some time after it heard of the change, and that time is longer than anything is kept
/// here: what it then gets is never older than the change. While this process hears of changes itself, what it knows
/// is good for longer, until the next one.
actor Shared<Key: Hashable & Sendable, Value: Sendable> {
    /// Shorter than the script's pause between hearing of a change and asking.
    static var lifetime: Duration { .milliseconds(500) }

    private struct Entry {
        let task: Task<Value, any Error>
        let since: ContinuousClock.Instant
    }

    private let lifetime: Duration
    private let lastChange: @Sendable () -> ContinuousClock.Instant?
    private var entries: [Key: Entry] = [:]

    /// Of what no change of a job tells, as of workers: so old it may be.
    private static var unchangedLifetime: Duration { .seconds(2) }

    /// - Parameter lastChange: When this process last heard of a change; `nil` while it hears of none.
    init(
        lifetime: Duration = Shared.lifetime, lastChange: @escaping @Sendable () -> ContinuousClock.Instant? = { nil }
    ) {
        self.lifetime = lifetime
        self.lastChange = lastChange
    }

    func value(of key: Key, _ read: @escaping @Sendable () async throws -> Value) async throws -> Value {
        let now = ContinuousClock.now
        let change = lastChange()
        func isGood(_ entry: Entry) -> Bool {
            entry.since > now - lifetime
                || change.map { entry.since > $0 && entry.since > now - Self.unchangedLifetime } ?? false
        }
        if let entry = entries[key], isGood(entry) { return try await entry.task.value }
        entries = entries.filter { isGood($0.value) }
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
