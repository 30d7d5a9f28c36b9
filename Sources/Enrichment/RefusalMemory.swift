import Crypto
import FoundationEssentials
import Postgres

/// Remembers for five minutes that Apollo refused a workspace's key (401, 402, 403), so that further jobs fail
/// with the same words and without a call, whichever process runs them.
///
/// A row of `public.rate_limits`, `apollo:<workspace>:<endpoint>`, one for each endpoint. It counts only while the
/// stored key is the same: a new one lifts it.
struct RefusalMemory: Sendable {
    static let lifetime = Duration.seconds(300)

    let pool: ConnectionPool

    static func key(_ workspace: UUID, _ endpoint: ApolloEndpoint) -> String {
        "apollo:\(workspace.text):\(endpoint.rawValue)"
    }

    func remember(
        _ message: String, workspace: UUID, endpoint: ApolloEndpoint, storedKey: String
    ) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:enrichment.remember_refusal */
            INSERT INTO public.rate_limits AS held (workspace_id, key, requests, blocked_until, blocked_reason)
            VALUES (\(workspace), \(RefusalMemory.key(workspace, endpoint)), 0,
                    clock_timestamp() + \(RefusalMemory.lifetime),
                    \(RefusalMemory.reason(message, storedKey: storedKey)))
            ON CONFLICT (key) DO UPDATE
            SET blocked_until = excluded.blocked_until, blocked_reason = excluded.blocked_reason
            WHERE held.workspace_id = excluded.workspace_id
            """)
    }

    /// Forgets all refusals of the workspace: its key was set or tested.
    func forget(workspace: UUID) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:enrichment.forget_refusals */
            DELETE FROM public.rate_limits
            WHERE workspace_id = \(workspace)
              AND key IN (\(RefusalMemory.key(workspace, .organization)), \(RefusalMemory.key(workspace, .person)))
            """)
    }

    // MARK: The stored text

    /// The message, followed by which key it was about: the start of a hash of the stored, encrypted value.
    static func reason(_ message: String, storedKey: String) -> String {
        "\(message) [key \(fingerprint(storedKey))]"
    }

    /// The message, if it is about this key.
    static func message(in reason: String, storedKey: String) -> String? {
        let suffix = " [key \(fingerprint(storedKey))]"
        return reason.hasSuffix(suffix) ? String(reason.dropLast(suffix.count)) : nil
    }

    private static func fingerprint(_ storedKey: String) -> String {
        SHA256.hash(data: Data(storedKey.utf8)).prefix(8).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
