/// A queue that this process serves.
public struct QueueSelection: Sendable, Hashable {
    /// Its name of at most 50 characters, or `*` for every queue not named otherwise.
    public let name: String
    /// Most jobs of it at once in this process, from 1 to 10 000; `nil` where only the worker's own limit holds.
    public let maxConcurrent: Int?

    public init(name: String, maxConcurrent: Int? = nil) {
        self.name = name
        self.maxConcurrent = maxConcurrent
    }

    /// Whether it stands for every queue not named otherwise.
    public var isEvery: Bool { name == "*" }
}

extension QueueSelection: CustomStringConvertible {
    /// As it is written in `WORKER_QUEUES`.
    public var description: String { maxConcurrent.map { "\(name):\($0)" } ?? name }
}

extension Form<[QueueSelection]> {
    static var queues: Form {
        let allowed = "queues as name or name:max with commas between them, '*' for all; max from 1 to 10000"
        return Form(allowed, isList: true, show: { $0.map(\.description).joined(separator: ",") }) {
            text throws(BadValue) in
            var queues: [QueueSelection] = []
            for entry in try listEntries(text) {
                let queue = try QueueSelection(parsing: entry)
                guard !queues.contains(where: { $0.name == queue.name }) else {
                    throw BadValue("the queue '\(queue.name)' is there twice")
                }
                queues.append(queue)
            }
            return queues
        }
    }
}

extension QueueSelection {
    fileprivate init(parsing entry: String) throws(BadValue) {
        let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map(\.trimmingBlanks)
        guard parts.count <= 2, let name = parts.first else { throw BadValue("'\(entry)' has more than one ':'") }
        guard (1...50).contains(name.unicodeScalars.count),
            name == "*" || name.unicodeScalars.allSatisfy({ isPrintable($0) && $0 != " " && $0 != "*" })
        else { throw BadValue("'\(name)' is no name of a queue (1 to 50 characters without blanks)") }
        guard parts.count == 2 else {
            self.init(name: name)
            return
        }
        guard let max = wholeNumber(parts[1]), (1...10_000).contains(max) else {
            throw BadValue("'\(parts[1])' is no limit for the queue '\(name)'")
        }
        self.init(name: name, maxConcurrent: max)
    }
}
