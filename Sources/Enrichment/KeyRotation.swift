public import FoundationEssentials
package import JobWorker
public import Postgres

/// Encrypts the stored keys of all workspaces anew with the vault's first key.
///
/// May run beside workers, which read old and new values alike, and be stopped at any time: what is done stays
/// done, and the next run goes on with the rest. A key that is set meanwhile wins.
public struct KeyRotation: Sendable {
    public struct Report: Sendable, Hashable {
        /// Stored keys that were under another encryption key, or none, when this run began.
        public fileprivate(set) var found = 0
        /// Stored anew by this run.
        public fileprivate(set) var rotated = 0
        /// Replaced or removed by somebody while this run looked at them; nothing to do.
        public fileprivate(set) var changedMeanwhile = 0
        /// Workspaces whose key can't be decrypted: it must be entered again, or the encryption key that is missing
        /// added.
        public fileprivate(set) var unreadable: [UUID] = []

        /// Looked at so far.
        public var done: Int { rotated + changedMeanwhile + unreadable.count }
    }

    /// How the stored keys are protected now.
    public struct Survey: Sendable, Hashable {
        /// Number of stored keys by the id of the encryption key.
        public fileprivate(set) var encrypted: [String: Int] = [:]
        /// Number of stored keys that are only base64.
        public fileprivate(set) var unprotected = 0
        /// Workspaces whose key can't be decrypted.
        public fileprivate(set) var unreadable: [UUID] = []
    }

    private let pool: ConnectionPool
    private let vault: KeyVault
    private let batchSize: Int
    private let requester: Requester?

    public init(pool: ConnectionPool, vault: KeyVault, batchSize: Int = 200) {
        self.init(pool: pool, vault: vault, batchSize: batchSize, requester: nil)
    }

    /// - Parameter requester: On whose behalf; each key that is stored anew stands in the audit. `nil` leaves none.
    package init(pool: ConnectionPool, vault: KeyVault, batchSize: Int = 200, requester: Requester?) {
        precondition(batchSize >= 1, "a batch holds at least one key")
        self.pool = pool
        self.vault = vault
        self.batchSize = batchSize
        self.requester = requester
    }

    /// What is changed from here on in this transaction stands in the audit as rotated, if it stands there at all.
    static func nameAction(_ connection: isolated Connection) throws {
        try connection.execute(
            """
            /* jobworker:enrichment.rotation */ SELECT set_config('jobworker.action', 'settings.rotate_key', true)
            """)
    }

    /// Rotates until nothing is left that could be.
    /// - Parameter progress: Called after each batch; what it is told of is stored.
    /// - Throws: `KeyVaultError.noKeys`, `PostgresError`, `CancellationError` between two batches.
    public func run(progress: (Report) -> Void = { _ in }) async throws -> Report {
        guard let current = vault.currentKeyID else { throw KeyVaultError.noKeys }
        var report = Report()
        report.found = try await count(butNotUnder: "v1:\(current):")
        var last: UUID?
        while true {
            try Task.checkCancellation()
            let batch = try await stored(after: last, butNotUnder: "v1:\(current):")
            guard let end = batch.last?.workspace else { return report }
            last = end
            try await rotate(batch, &report)
            progress(report)
        }
    }

    /// Looks at every stored key; changes nothing.
    /// - Throws: `PostgresError`, `CancellationError`.
    public func survey() async throws -> Survey {
        var survey = Survey()
        var last: UUID?
        while true {
            try Task.checkCancellation()
            let batch = try await stored(after: last, butNotUnder: nil)
            guard let end = batch.last?.workspace else { return survey }
            last = end
            for entry in batch {
                do throws(KeyVaultError) {
                    switch try vault.open(entry.stored, workspace: entry.workspace).protection {
                    case .encrypted(let id): survey.encrypted[id, default: 0] += 1
                    case .none: survey.unprotected += 1
                    }
                } catch {
                    survey.unreadable.append(entry.workspace)
                }
            }
        }
    }

    private func count(butNotUnder prefix: String) async throws(PostgresError) -> Int {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.count_keys */
            SELECT count(*) AS count FROM public.workspace_settings
            WHERE apollo_api_key_encrypted <> '' AND NOT starts_with(apollo_api_key_encrypted, \(prefix))
              AND workspace_id IS NOT NULL
            """)
        return try rows.first?.decode("count") ?? 0
    }

    private struct Entry {
        let workspace: UUID
        let stored: String
    }

    private func stored(after last: UUID?, butNotUnder prefix: String?) async throws(PostgresError) -> [Entry] {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.stored_keys */
            SELECT workspace_id, apollo_api_key_encrypted AS stored
            FROM public.workspace_settings
            WHERE apollo_api_key_encrypted <> ''
              AND (\(last) IS NULL OR workspace_id > \(last))
              AND (\(prefix) IS NULL OR NOT starts_with(apollo_api_key_encrypted, \(prefix)))
              AND workspace_id IS NOT NULL
            ORDER BY workspace_id LIMIT \(batchSize)
            """)
        var entries: [Entry] = []
        for row in rows {
            entries.append(Entry(workspace: try row.decode("workspace_id"), stored: try row.decode("stored")))
        }
        return entries
    }

    private func rotate(_ batch: [Entry], _ report: inout Report) async throws {
        var workspaces: [UUID] = []
        var old: [String] = []
        var new: [String] = []
        for entry in batch {
            do throws(KeyVaultError) {
                let key = try vault.open(entry.stored, workspace: entry.workspace).key
                new.append(try vault.seal(key, workspace: entry.workspace))
                workspaces.append(entry.workspace)
                old.append(entry.stored)
            } catch {
                report.unreadable.append(entry.workspace)
            }
        }
        guard !workspaces.isEmpty else { return }
        let (requester, ids, before, after) = (requester, workspaces, old, new)
        let count = try await pool.transaction { connection in
            if let requester { try connection.execute(requester.statement) }
            try Self.nameAction(connection)
            // Only where the old value is still there: who sets a key meanwhile wins.
            return try connection.execute(
                """
                /* jobworker:enrichment.rotate_keys */
                UPDATE public.workspace_settings AS settings
                SET apollo_api_key_encrypted = rotated.new
                FROM unnest(\(ids), \(before), \(after)) AS rotated (workspace_id, old, new)
                WHERE settings.workspace_id = rotated.workspace_id
                  AND settings.apollo_api_key_encrypted = rotated.old
                """
            ).affected
        }
        report.rotated += count
        report.changedMeanwhile += workspaces.count - count
    }
}
