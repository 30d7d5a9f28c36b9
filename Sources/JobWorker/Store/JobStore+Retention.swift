package import FoundationEssentials
package import Postgres

/// How far a walk through old jobs has come.
package struct RetirementPlace: Sendable, Hashable {
    package var createdAt: Timestamp?
    package var id: UUID?

    package init() {}
}

/// What a look at some old jobs found.
package struct Retirement: Sendable, Hashable {
    /// Jobs looked at; fewer than asked for: there are no more.
    package let looked: Int
    /// Of those, how many went.
    package let retired: Int
    package let place: RetirementPlace
}

extension JobStore {
    /// Takes what has been finished for longer than its status is kept, among the next few jobs, oldest first. Relies
    /// on `jobs_by_state`.
    /// - Parameters:
    ///   - days: By status; 0, and a status that is missing, keep.
    ///   - archives: Whether it stays in `jobs_archive`.
    ///   - batch: Jobs to look at.
    package func retire(
        _ days: [String: Int], archives: Bool, from place: RetirementPlace, batch: Int
    ) async throws(PostgresError) -> Retirement {
        let names = days.keys.sorted()
        let numbers = names.map { days[$0] ?? 0 }
        let rows = try await pool.query(
            """
            /* jobworker:retention */
            SELECT * FROM jobworker.retire_jobs(
                (SELECT jsonb_object_agg(name, days) FROM unnest(\(names), \(numbers)) AS kept (name, days)),
                \(archives), \(place.createdAt), \(place.id), \(batch)::int)
            """)
        guard let row = rows.first else {
            throw PostgresError(.malformed, operation: "jobworker:retention", message: "the statement gave no row")
        }
        var next = place
        next.createdAt = try row.decodeIfPresent("last_time") ?? place.createdAt
        next.id = try row.decodeIfPresent("last_id") ?? place.id
        return Retirement(looked: try row.decode("looked"), retired: try row.decode("retired"), place: next)
    }

    /// Operations that ended a week ago go, with their items. Relies on the table being small.
    package func clearOperations() async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:operations.clear */
            DELETE FROM public.job_operations WHERE id IN (
                SELECT id FROM public.job_operations WHERE ended_at < clock_timestamp() - interval '7 days' LIMIT 1)
            """)
    }
}
