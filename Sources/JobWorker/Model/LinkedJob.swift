import FoundationEssentials
public import Postgres

/// A job that is to be added with others, and may wait for them.
public struct LinkedJob: Sendable, Hashable {
    /// What becomes of a job if one that it waits for fails, is cancelled or deleted.
    public enum OnDependencyFailure: String, Sendable, CaseIterable {
        case cancel, run
    }

    /// Letters, digits, `-` and `_`; one of a kind in its workflow. Only jobs of a workflow have one.
    public var name: String?
    public var type: String
    /// May hold `{"$result": "name.path"}`, replaced by that part of a parent's result when the job starts.
    public var payload: JSONText
    /// What it waits for: names of jobs added with it or of the same workflow, or ids of jobs of the workspace.
    public var after: [String]
    public var onDependencyFailure: OnDependencyFailure
    public var queue: String
    public var priority: Priority
    public var scheduledFor: Timestamp?
    public var maxAttempts: Int
    public var timeout: Duration?
    public var uniqueKey: String?

    public init(
        name: String? = nil, type: String, payload: JSONText = JSONText("{}"), after: [String] = [],
        onDependencyFailure: OnDependencyFailure = .cancel, queue: String = "default", priority: Priority = .normal,
        scheduledFor: Timestamp? = nil, maxAttempts: Int = 5, timeout: Duration? = nil, uniqueKey: String? = nil
    ) {
        self.name = name
        self.type = type
        self.payload = payload
        self.after = after
        self.onDependencyFailure = onDependencyFailure
        self.queue = queue
        self.priority = priority
        self.scheduledFor = scheduledFor
        self.maxAttempts = maxAttempts
        self.timeout = timeout
        self.uniqueKey = uniqueKey
    }

    /// As the database's functions take it, but for the payload.
    private func description() throws -> JSONText {
        var members: [String: JSONValue] = [
            "job_type": .string(type), "after": .array(after.map { .string($0) }),
            "on_dependency_failure": .string(onDependencyFailure.rawValue), "job_queue": .string(queue),
            "priority": .integer(Int64(priority.rawValue)), "max_attempts": .integer(Int64(maxAttempts)),
        ]
        members["name"] = name.map { .string($0) }
        members["scheduled_for"] = scheduledFor.map { .string($0.description) }
        members["timeout_seconds"] = timeout.map { .integer($0.components.seconds) }
        members["unique_key"] = uniqueKey.map { .string($0) }
        return try JSONText(encoding: JSONValue.object(members))
    }

    /// A list of them as the database's functions take it: an expression of the type `jsonb`.
    ///
    /// The payloads are values of their own: they keep every digit, and a text that isn't one JSON value is refused and
    /// says nothing about its job or others.
    package static func list(_ jobs: [LinkedJob]) throws -> Fragment {
        let descriptions = try jobs.map { try $0.description() }
        return """
            (SELECT coalesce(jsonb_agg(given.job || jsonb_build_object('payload', given.payload) ORDER BY given.place), '[]')
             FROM unnest(\(descriptions), \(jobs.map(\.payload))) WITH ORDINALITY AS given (job, payload, place))
            """
    }
}

extension LinkedJob {
    /// Splits long work: one job for each `size` of the items, and one that waits for all of them and shows as its progress
    /// how many have ended. Their payloads are `payload` with `items`, `chunk` and `chunks`; that of the last job is
    /// `payload` with `results`, an object with a result for each chunk's name.
    /// - Parameters:
    ///   - items: What there is to do.
    ///   - size: Most items of a chunk, 1 or more.
    ///   - type: Of the chunks.
    ///   - finally: The type of the job after them.
    ///   - name: Of the last job; the others are called `chunk-1` and so on, with the name and `-` in front unless it is
    ///     `all`. Another one for each split within a workflow.
    ///   - payload: Members that every payload gets.
    ///   - onDependencyFailure: What becomes of the last job if a chunk fails.
    ///   - queue: Of all of them.
    ///   - priority: Of all of them.
    ///   - maxAttempts: Of all of them; starts allowed, 1 or more.
    public static func chunks(
        of items: [JSONText], size: Int, type: String, finally: String, name: String = "all",
        payload: [(name: String, value: JSONText)] = [], onDependencyFailure: OnDependencyFailure = .cancel,
        queue: String = "default", priority: Priority = .normal, maxAttempts: Int = 5
    ) throws -> [LinkedJob] {
        let size = max(1, size)
        let count = max(1, (items.count + size - 1) / size)
        let prefix = name == "all" ? "" : "\(name)-"
        func object(_ members: [(name: String, value: JSONText)]) throws -> JSONText {
            let texts = try members.map { "\(try JSONText(encoding: $0.name).text):\($0.value.text)" }
            return JSONText("{\(texts.joined(separator: ","))}")
        }
        var jobs: [LinkedJob] = []
        for chunk in 0..<count {
            let part = items.dropFirst(chunk * size).prefix(size).map(\.text).joined(separator: ",")
            jobs.append(
                LinkedJob(
                    name: "\(prefix)chunk-\(chunk + 1)", type: type,
                    payload: try object(
                        payload + [
                            ("items", JSONText("[\(part)]")), ("chunk", JSONText("\(chunk + 1)")),
                            ("chunks", JSONText("\(count)")),
                        ]), queue: queue, priority: priority, maxAttempts: maxAttempts))
        }
        jobs.append(
            LinkedJob(
                name: name, type: finally,
                payload: try object(payload + [("results", JSONText(#"{"$result":"*"}"#))]),
                after: jobs.compactMap(\.name), onDependencyFailure: onDependencyFailure, queue: queue,
                priority: priority, maxAttempts: maxAttempts))
        return jobs
    }
}
