public import Postgres

/// Looks before the first job whether the tables have what enrichment needs, so that no call is paid for in vain.
public struct ColumnCheck: Sendable {
    /// What is missing, or hidden from the worker's role, by job type: `public.accounts.headquarters_city`.
    /// A type that isn't there can be served.
    public typealias Missing = [String: [String]]

    private let pool: ConnectionPool

    public init(pool: ConnectionPool) {
        self.pool = pool
    }

    /// - Throws: `PostgresError`.
    public func missing() async throws(PostgresError) -> Missing {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.columns */
            SELECT table_name::text || '.' || column_name::text AS name
            FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name::text = ANY(\(ColumnCheck.tables))
            """)
        var present: Set<String> = []
        for row in rows { present.insert(try row.decode("name")) }
        return ColumnCheck.missing(present: present)
    }

    /// One sentence for status, log and `doctor`.
    public static func sentence(_ missing: Missing) -> String? {
        guard !missing.isEmpty else { return nil }
        let types = missing.keys.sorted().joined(separator: ", ")
        let columns = Set(missing.values.joined()).sorted().joined(separator: ", ")
        return
            """
            \(types) not served: the database lacks, or hides from this role, \(columns). Run 'jobworker \
            migrate', or add them.
            """
    }

    /// - Parameter present: `table.column`.
    static func missing(present: Set<String>) -> Missing {
        var missing: Missing = [:]
        for (type, needed) in needs {
            let absent = needed.filter { !present.contains($0) }.map { "public." + $0 }.sorted()
            if !absent.isEmpty { missing[type] = absent }
        }
        return missing
    }

    private static let tables = [
        "accounts", "contacts", "workspaces", "workspace_settings", "enrichment_cache", "rate_limits", "job_logs",
    ]

    private static let needs: [String: [String]] = [
        "enrich_account": common + qualified("accounts", AccountMapping.columns)
            + qualified("accounts", ["id", "workspace_id", "last_enriched_at", "tech_stack_last_updated"]),
        "enrich_contact": common + qualified("contacts", ContactMapping.columns)
            + qualified("contacts", ["id", "workspace_id", "account_id", "status", "last_enriched_at"])
            + qualified("accounts", ["id", "workspace_id", "domain"]),
    ]

    private static let common =
        qualified("workspaces", ["id", "status"])
        + qualified(
            "workspace_settings",
            ["workspace_id", "apollo_api_key_encrypted", "enrichment_credits_used", "last_enrichment_at"])
        + qualified(
            "enrichment_cache",
            [
                "workspace_id", "provider", "lookup_type", "lookup_value", "enrichment_data", "data_version",
                "created_at", "expires_at", "last_accessed_at", "hit_count",
            ])
        + qualified(
            "rate_limits",
            [
                "workspace_id", "key", "requests", "window_start", "window_duration", "max_requests",
                "last_request_at", "blocked_until", "blocked_reason", "recent",
            ])
        + qualified("job_logs", ["job_id", "log_level", "message", "metadata"])

    private static func qualified(_ table: String, _ columns: [String]) -> [String] { columns.map { "\(table).\($0)" } }
}
