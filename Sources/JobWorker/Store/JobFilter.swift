package import FoundationEssentials
package import Postgres

/// Which jobs are meant. All conditions hold together; an empty list is no condition.
package struct JobFilter: Sendable, Hashable {
    package var workspaceID: UUID?
    package var queues: [String] = []
    package var types: [String] = []
    package var statuses: [JobStatus] = []
    package var priority: Int?
    /// The worker that runs it, or ran it last.
    package var workerID: String?
    package var uniqueKey: String?
    package var since: Timestamp?
    package var until: Timestamp?
    /// Added longer ago than this.
    package var olderThan: Duration?
    /// Added no longer ago than this.
    package var newerThan: Duration?
    /// Part of the error message, or the start of the id; upper and lower case are the same.
    package var search: String?
    /// Failed or set aside, with errors of this group.
    package var errorGroup: String?

    package init() {}

    /// Whether it means every job there is.
    package var isEverything: Bool { self == JobFilter() }

    /// What the planner has to read before it takes `jobs_by_state`.
    package static let isNotRunning: Fragment = "jobs.status IS DISTINCT FROM 'processing'"
    /// The same for `jobs_by_kind`, with `isNotRunning`.
    package static let isNotWaiting: Fragment = "jobs.status IS DISTINCT FROM 'pending'"

    /// Follows WHERE.
    ///
    /// What the planner has to know stands in the text: a state, so that an index on some of them is found, and a
    /// single value as `=`, so that an index with it in front gives the order. The time is the statement's, as an
    /// index can't be read up to a clock that goes on.
    package var condition: Fragment {
        var conditions: [Fragment] = []
        if let workspaceID { conditions.append("jobs.workspace_id = \(workspaceID)") }
        if !queues.isEmpty { conditions.append("coalesce(jobs.job_queue, 'default') \(Self.isOne(of: queues))") }
        if !types.isEmpty { conditions.append("jobs.job_type \(Self.isOne(of: types))") }
        if !statuses.isEmpty {
            let words = statuses.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            conditions.append(
                Fragment(stringLiteral: statuses.count == 1 ? "jobs.status = \(words)" : "jobs.status IN (\(words))"))
            // Follows from it, but the planner doesn't see that.
            if !statuses.contains(.processing) { conditions.append(Self.isNotRunning) }
            if Set(statuses).isDisjoint(with: [.processing, .pending]) { conditions.append(Self.isNotWaiting) }
        }
        if let priority { conditions.append("coalesce(jobs.priority, 0) = \(priority)") }
        // As `jobs_by_worker` has it.
        if let workerID {
            conditions.append("hashtext(jobs.worker_id) = hashtext(\(workerID)) AND jobs.worker_id = \(workerID)")
        }
        if let uniqueKey { conditions.append("jobs.unique_key = \(uniqueKey)") }
        if let since { conditions.append("jobs.created_at >= \(since)") }
        if let until { conditions.append("jobs.created_at < \(until)") }
        if let olderThan { conditions.append("jobs.created_at < statement_timestamp() - \(olderThan)") }
        if let newerThan { conditions.append("jobs.created_at >= statement_timestamp() - \(newerThan)") }
        if let errorGroup { conditions.append("jobs.error_group = \(errorGroup)") }
        if let search { conditions.append(Self.matches(search)) }
        return conditions.isEmpty ? "true" : Fragment.joined(conditions, separator: " AND ")
    }
}

extension JobFilter {
    private static func isOne(of values: [String]) -> Fragment {
        values.count == 1 ? "= \(values[0])" : "= ANY (\(values))"
    }

    private static func matches(_ text: String) -> Fragment {
        guard let ids = idRange(text) else { return isInError(text) }
        if isWide(text) { return "(starts_with(jobs.id::text, lower(\(text))) OR \(isInError(text)))" }
        return "(jobs.id BETWEEN \(ids.lowerBound) AND \(ids.upperBound) OR \(isInError(text)))"
    }

    /// One or two digits are how each sixteenth id begins, or one of 256: too many to sort, and soon found among the
    /// newest. So the planner isn't offered the index of ids.
    static func isWide(_ text: String) -> Bool { text.count < 3 && idRange(text) != nil }

    /// In the form that `jobs_error_text` is for.
    static func isInError(_ text: String) -> Fragment {
        "jobs.error_message ILIKE \("%" + text.replacing(#/[\\%_]/#) { #"\"# + $0.output } + "%")"
    }

    /// The ids that begin like a text; `nil` for what no id begins with.
    package static func idRange(_ text: String) -> ClosedRange<UUID>? {
        let pattern = Array("00000000-0000-0000-0000-000000000000")
        let typed = Array(text)
        guard !typed.isEmpty, typed.count <= pattern.count else { return nil }
        for (index, character) in typed.enumerated() {
            guard pattern[index] == "-" ? character == "-" : character.isHexDigit else { return nil }
        }
        func filled(_ digit: Character) -> UUID? {
            UUID(uuidString: String(typed + pattern[typed.count...].map { $0 == "-" ? $0 : digit }))
        }
        guard let first = filled("0"), let last = filled("f") else { return nil }
        return first...last
    }
}

/// A place in a list of jobs, newest first: what follows it is the next page.
package struct JobCursor: Sendable, Hashable {
    /// Rows older than the application's default may have none.
    package let createdAt: Timestamp?
    package let id: UUID

    package init(createdAt: Timestamp?, id: UUID) {
        self.createdAt = createdAt
        self.id = id
    }

    /// As people and programs pass it on.
    package var text: String { "\(createdAt.map { String($0.microseconds) } ?? "none").\(id.text)" }

    package init?(text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let id = UUID(uuidString: String(parts[1])) else { return nil }
        self.id = id
        if parts[0] == "none" {
            createdAt = nil
        } else {
            guard let microseconds = Int64(parts[0]) else { return nil }
            createdAt = Timestamp(microseconds: microseconds)
        }
    }

    /// Follows WHERE. NULL sorts before any time, as in a descending index.
    package var condition: Fragment {
        guard let createdAt else {
            return "(jobs.created_at IS NOT NULL OR jobs.id < \(id))"
        }
        return "(jobs.created_at, jobs.id) < (\(createdAt), \(id))"
    }
}
