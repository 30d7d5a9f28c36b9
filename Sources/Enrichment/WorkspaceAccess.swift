import FoundationEssentials
import JobWorker
import Postgres

/// What decides, before any call, whether a workspace may enrich.
struct WorkspaceAccess: Sendable, Hashable {
    var status: String?
    /// As stored: encrypted.
    var storedKey: String?
    /// An earlier refusal by Apollo that still holds, about this key or an older one.
    var refusal: String?

    static func load(
        workspace: UUID, endpoint: ApolloEndpoint, from pool: ConnectionPool
    ) async throws(PostgresError) -> WorkspaceAccess? {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.access */
            SELECT workspaces.status, settings.apollo_api_key_encrypted, refusal.blocked_reason
            FROM public.workspaces
            LEFT JOIN public.workspace_settings AS settings ON settings.workspace_id = workspaces.id
            LEFT JOIN public.rate_limits AS refusal
                ON refusal.workspace_id = workspaces.id
               AND refusal.key = \(RefusalMemory.key(workspace, endpoint))
               AND refusal.blocked_until > clock_timestamp()
            WHERE workspaces.id = \(workspace)
            """)
        guard let row = rows.first else { return nil }
        return WorkspaceAccess(
            status: try row.decodeIfPresent("status"),
            storedKey: try row.decodeIfPresent("apollo_api_key_encrypted"),
            refusal: try row.decodeIfPresent("blocked_reason"))
    }

    /// The stored key of a workspace that may spend credits.
    /// - Throws: `JobFailure`, final.
    func usableKey() throws(JobFailure) -> String {
        if let status, status != "active" {
            throw .permanent(
                """
                The workspace is \(status): nothing is enriched and no Apollo credits are spent until it is \
                active again.
                """
            )
        }
        guard let storedKey, !storedKey.isEmpty else {
            throw .permanent(
                "Apollo API key not configured. A workspace admin can enter it in the workspace settings.")
        }
        return storedKey
    }

    /// What Apollo said about this very key within the last minutes.
    var knownRefusal: String? {
        guard let refusal, let storedKey else { return nil }
        return RefusalMemory.message(in: refusal, storedKey: storedKey)
    }
}
