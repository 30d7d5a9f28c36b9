/// For how long finished jobs are kept, in days by status; 0 keeps them for good.
public struct RetentionDays: Sendable, Hashable {
    public var completed: Int
    public var cancelled: Int
    public var failed: Int
    public var deadLetter: Int

    /// Each from 0 to 36 500.
    public init(completed: Int = 0, cancelled: Int = 0, failed: Int = 0, deadLetter: Int = 0) {
        self.completed = completed
        self.cancelled = cancelled
        self.failed = failed
        self.deadLetter = deadLetter
    }

    /// The days by status, as the table `jobs` spells it.
    public var byStatus: [(status: String, days: Int)] {
        RetentionDays.statuses.map { ($0.name, self[keyPath: $0.days]) }
    }

    fileprivate static var statuses: [(name: String, days: WritableKeyPath<RetentionDays, Int>)] {
        [
            ("completed", \.completed), ("cancelled", \.cancelled), ("failed", \.failed),
            ("dead_letter", \.deadLetter),
        ]
    }
}

extension RetentionDays: CustomStringConvertible {
    /// As it is written in `WORKER_RETENTION_DAYS`.
    public var description: String {
        byStatus.map { "\($0.status):\($0.days)" }.joined(separator: ",")
    }
}

extension Form<RetentionDays> {
    static var retention: Form {
        let names = RetentionDays.statuses.map(\.name)
        let allowed = """
            status:days with commas between them, each status once of \(names.joined(separator: ", ")), \
            days from 0 (kept) to 36500
            """
        return Form(allowed, isList: true) { text throws(BadValue) in
            var retention = RetentionDays()
            var named: Set<String> = []
            for entry in try listEntries(text) {
                let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map(\.trimmingBlanks)
                guard parts.count == 2 else { throw BadValue("'\(entry)' is not status:days") }
                guard let status = RetentionDays.statuses.first(where: { $0.name == parts[0] }) else {
                    let hint = nearest(to: parts[0], among: names).map { ", did you mean \($0)?" } ?? ""
                    throw BadValue("'\(parts[0])' is no status of a finished job\(hint)")
                }
                guard named.insert(status.name).inserted else { throw BadValue("'\(status.name)' is there twice") }
                guard let days = wholeNumber(parts[1]), (0...36_500).contains(days) else {
                    throw BadValue("'\(parts[1])' is no number of days")
                }
                retention[keyPath: status.days] = days
            }
            return retention
        }
    }
}
