package import FoundationEssentials
package import Postgres

/// A change that somebody made.
package struct AuditEntry: Sendable, Hashable {
    package let id: Int
    package let createdAt: Timestamp
    package let workspaceID: UUID?
    package let jobID: UUID?
    /// `user:<uuid>`, `operator:<name>`, `role:<name>`.
    package let actor: String
    /// `sql`, `api`, `cli`, `dashboard`, `worker`.
    package let via: String
    /// As `job.cancel`.
    package let action: String
    /// What it was done to, if not a job: a queue's name, a workspace's id; of a job its type.
    package let subject: String?
    package let reason: String?
    /// An object with the fields that changed, as they were; `nil` where the thing was added, or for older entries.
    package let before: JSONText?
    /// The same as they were afterwards; `nil` where the thing is gone.
    package let after: JSONText?
    package let details: JSONText
}

/// Which entries are meant. All conditions hold together.
package struct AuditFilter: Sendable, Hashable {
    package var workspaceID: UUID?
    package var jobID: UUID?
    package var actor: String?
    /// Empty for all.
    package var actions: [String] = []
    package var via: String?
    package var since: Timestamp?
    package var until: Timestamp?

    package init() {}

    /// Follows WHERE.
    package var condition: Fragment {
        var conditions: [Fragment] = []
        if let workspaceID { conditions.append("job_audit.workspace_id = \(workspaceID)") }
        if let jobID { conditions.append("job_audit.job_id = \(jobID)") }
        if let actor { conditions.append("job_audit.actor = \(actor)") }
        if !actions.isEmpty { conditions.append("job_audit.action = ANY (\(actions))") }
        if let via { conditions.append("job_audit.via = \(via)") }
        if let since { conditions.append("job_audit.created_at >= \(since)") }
        if let until { conditions.append("job_audit.created_at < \(until)") }
        return conditions.isEmpty ? "true" : Fragment.joined(conditions, separator: " AND ")
    }
}

/// A part of the audit, the latest first.
package struct AuditPage: Sendable {
    package let entries: [AuditEntry]
    /// The id before which the next page begins; `nil` on the last.
    package let next: Int?
}

extension AuditEntry {
    /// What a statement selects from `job_audit`.
    package static let columns =
        "id, created_at, workspace_id, job_id, actor, via, action, subject, reason, before, after, details"

    fileprivate init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        createdAt = try row.decode("created_at")
        workspaceID = try row.decodeIfPresent("workspace_id")
        jobID = try row.decodeIfPresent("job_id")
        actor = try row.decode("actor")
        via = try row.decode("via")
        action = try row.decode("action")
        subject = try row.decodeIfPresent("subject")
        reason = try row.decodeIfPresent("reason")
        before = try row.decodeIfPresent("before")
        after = try row.decodeIfPresent("after")
        details = try row.decode("details")
    }
}

extension JobStore {
    /// Who did what, the latest first. Relies on `job_audit_workspace`, `job_audit_job`, or the primary key.
    /// - Parameter cursor: `next` of the page before.
    package func audit(_ filter: AuditFilter, before cursor: Int? = nil, limit: Int) async throws(PostgresError)
        -> AuditPage
    {
        let rows = try await pool.query(
            """
            /* jobworker:audit.list */
            SELECT \(sql: AuditEntry.columns) FROM public.job_audit
            WHERE \(filter.condition) AND (\(cursor) IS NULL OR id < \(cursor))
            ORDER BY id DESC LIMIT \(limit + 1)
            """)
        var entries: [AuditEntry] = []
        for row in rows { entries.append(try AuditEntry(row)) }
        guard entries.count > limit else { return AuditPage(entries: entries, next: nil) }
        entries.removeLast()
        return AuditPage(entries: entries, next: entries.last?.id)
    }

    /// Writes down what a person did, where no trigger does it.
    /// - Parameters:
    ///   - action: As `settings.change`.
    ///   - subject: What it was done to, if not a job: a queue's name, a workspace's id.
    package func audit(_ action: String, subject: String, workspaceID: UUID?, by requester: Requester)
        async throws(PostgresError)
    {
        try await pool.query(
            """
            /* jobworker:audit */
            INSERT INTO public.job_audit (workspace_id, actor, via, action, subject, reason)
            SELECT \(workspaceID), \(requester.actor), \(requester.via.rawValue), \(action), \(subject), \(requester.reason)
            -- For everybody else a trigger does this.
            WHERE pg_has_role('jobworker', 'MEMBER')
            """)
    }
}
