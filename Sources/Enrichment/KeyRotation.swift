public import FoundationEssentials
public import Postgres

/// Encrypts the stored keys of all workspaces anew with the vault's first key.
///
/// May run beside workers, which read old and new values alike, and be stopped at any time: what is done stays
/// done, and the next run goes on with the rest. A key that is set meanwhile wins.
public struct KeyRotation: Sendable {
    public struct Report: Sendable, Hashable {
        /// Stored anew by this run.
        public fileprivate(set) var rotated = 0
        /// Replaced or removed by somebody while this run looked at them; nothing to do.
        public fileprivate(set) var changedMeanwhile = 0
        /// Workspaces whose key can't be decrypted: it must be entered again, or the encryption key that is missing
        /// added.
        public fileprivate(set) var unreadable: [UUID] = []
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

    public init(pool: ConnectionPool, vault: KeyVault, batchSize: Int = 200) {
        precondition(batchSize >= 1, "a batch holds at least one key")
        self.pool = pool
        self.vault = vault
        self.batchSize = batchSize
    }

    /// Rotates until nothing is left that could be.
    /// - Parameter progress: Called after each batch.
    /// - Throws: `KeyVaultError.noKeys`, `PostgresError`, `CancellationError`.
    public func run(progress: @Sendable (Report) -> Void = { _ in }) async throws -> Report {
        guard let current = vault.currentKeyID else { throw KeyVaultError.noKeys }
        var report = Report()
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
        // Only where the old value is still there: who sets a key meanwhile wins.
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.rotate_keys */
            UPDATE public.workspace_settings AS settings
            SET apollo_api_key_encrypted = rotated.new
            FROM unnest(\(workspaces), \(old), \(new)) AS rotated (workspace_id, old, new)
            WHERE settings.workspace_id = rotated.workspace_id
              AND settings.apollo_api_key_encrypted = rotated.old
            """)
        report.rotated += rows.affected
        report.changedMeanwhile += workspaces.count - rows.affected
    }
}
