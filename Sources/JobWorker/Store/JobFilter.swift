package import FoundationEssentials
package import Postgres

/// Which jobs are meant. All conditions hold together; an empty list is no condition.
package struct JobFilter: Sendable, Hashable {
    package var workspaceID: UUID?
    package var queues: [String] = []
    package var types: [String] = []
    package var statuses: [JobStatus] = []
    package var priority: Int?
    package var since: Timestamp?
    package var until: Timestamp?
    /// Added longer ago than this.
    package var olderThan: Duration?
    /// Added no longer ago than this.
    package var newerThan: Duration?
    /// Part of the error message, or the start of the id; upper and lower case are the same.
    package var search: String?

    package init() {}

    /// Whether it means every job there is.
    package var isEverything: Bool { self == JobFilter() }

    /// Follows WHERE.
    package var condition: Fragment {
        var conditions: [Fragment] = []
        if let workspaceID { conditions.append("jobs.workspace_id = \(workspaceID)") }
        if !queues.isEmpty { conditions.append("coalesce(jobs.job_queue, 'default') = ANY (\(queues))") }
        if !types.isEmpty { conditions.append("jobs.job_type = ANY (\(types))") }
        if !statuses.isEmpty { conditions.append("jobs.status = ANY (\(statuses.map(\.rawValue)))") }
        if let priority { conditions.append("coalesce(jobs.priority, 0) = \(priority)") }
        if let since { conditions.append("jobs.created_at >= \(since)") }
        if let until { conditions.append("jobs.created_at < \(until)") }
        if let olderThan { conditions.append("jobs.created_at < clock_timestamp() - \(olderThan)") }
        if let newerThan { conditions.append("jobs.created_at >= clock_timestamp() - \(newerThan)") }
        if let search {
            conditions.append(
                """
                (strpos(lower(jobs.error_message), lower(\(search))) > 0 OR starts_with(jobs.id::text, lower(\(search))))
                """)
        }
        return conditions.isEmpty ? "true" : Fragment.joined(conditions, separator: " AND ")
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
