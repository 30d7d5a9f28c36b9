public import FoundationEssentials
package import JobWorker
public import Postgres

/// Encrypts the stored keys of all workspaces, and the secrets of their webhooks, anew with the vault's first key.
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
        /// Webhooks whose secret can't be decrypted: to be removed and added again, or the same.
        public fileprivate(set) var unreadableWebhooks: [UUID] = []

        /// Looked at so far.
        public var done: Int { rotated + changedMeanwhile + unreadable.count + unreadableWebhooks.count }
    }

    /// How the stored keys are protected now.
    public struct Survey: Sendable, Hashable {
        /// Number of stored keys by the id of the encryption key.
        public fileprivate(set) var encrypted: [String: Int] = [:]
        /// Number of stored keys that are only base64.
        public fileprivate(set) var unprotected = 0
        /// Workspaces whose key can't be decrypted.
        public fileprivate(set) var unreadable: [UUID] = []
        /// Number of webhooks' secrets by the id of the encryption key.
        public fileprivate(set) var encryptedSecrets: [String: Int] = [:]
        /// Webhooks whose secret can't be decrypted.
        public fileprivate(set) var unreadableWebhooks: [UUID] = []
    }

    /// Where encrypted values are.
    private enum Place: CaseIterable {
        case settings, webhooks

        var table: String { self == .settings ? "public.workspace_settings" : "public.webhook_endpoints" }
        var column: String { self == .settings ? "apollo_api_key_encrypted" : "secret_encrypted" }
        /// Tells one row from another.
        var key: String { self == .settings ? "workspace_id" : "id" }
        /// Which rows can be opened at all. Webhooks without a workspace are operators'.
        var condition: String { self == .settings ? "workspace_id IS NOT NULL" : "true" }
        var action: String { self == .settings ? "settings.rotate_key" : "webhook.rotate_secret" }
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
        try nameAction(Place.settings.action, connection)
    }

    private static func nameAction(_ action: String, _ connection: isolated Connection) throws {
        try connection.execute(
            """
            /* jobworker:enrichment.rotation */ SELECT set_config('jobworker.action', \(action), true)
            """)
    }

    /// Rotates until nothing is left that could be.
    /// - Parameter progress: Called after each batch; what it is told of is stored.
    /// - Throws: `KeyVaultError.noKeys`, `PostgresError`, `CancellationError` between two batches.
    public func run(progress: (Report) -> Void = { _ in }) async throws -> Report {
        guard let current = vault.currentKeyID else { throw KeyVaultError.noKeys }
        var report = Report()
        let prefix = "v1:\(current):"
        for place in Place.allCases { report.found += try await count(place, butNotUnder: prefix) }
        for place in Place.allCases {
            var last: UUID?
            while true {
                try Task.checkCancellation()
                let batch = try await stored(place, after: last, butNotUnder: prefix)
                guard let end = batch.last?.id else { break }
                last = end
                try await rotate(place, batch, &report)
                progress(report)
            }
        }
        return report
    }

    /// Looks at every stored key; changes nothing.
    /// - Throws: `PostgresError`, `CancellationError`.
    public func survey() async throws -> Survey {
        var survey = Survey()
        for place in Place.allCases {
            var last: UUID?
            while true {
                try Task.checkCancellation()
                let batch = try await stored(place, after: last, butNotUnder: nil)
                guard let end = batch.last?.id else { break }
                last = end
                for entry in batch { look(at: entry, place, &survey) }
            }
        }
        return survey
    }

    private func look(at entry: Entry, _ place: Place, _ survey: inout Survey) {
        do throws(KeyVaultError) {
            switch (place, try open(entry, place).protection) {
            case (.settings, .encrypted(let id)): survey.encrypted[id, default: 0] += 1
            case (.webhooks, .encrypted(let id)): survey.encryptedSecrets[id, default: 0] += 1
            case (_, .none): survey.unprotected += 1
            }
        } catch {
            if place == .settings {
                survey.unreadable.append(entry.id)
            } else {
                survey.unreadableWebhooks.append(entry.id)
            }
        }
    }

    private func open(_ entry: Entry, _ place: Place) throws(KeyVaultError) -> (
        key: APIKey, protection: KeyVault.Protection
    ) {
        switch place {
        case .settings: try vault.open(entry.stored, workspace: entry.workspace)
        case .webhooks: try vault.openSealed(entry.stored, for: .webhookSecret, of: entry.workspace)
        }
    }

    private func count(_ place: Place, butNotUnder prefix: String) async throws(PostgresError) -> Int {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.count_keys */
            SELECT count(*) AS count FROM \(sql: place.table)
            WHERE \(sql: place.column) <> '' AND NOT starts_with(\(sql: place.column), \(prefix))
              AND \(sql: place.condition)
            """)
        return try rows.first?.decode("count") ?? 0
    }

    private struct Entry {
        /// The workspace's, or the webhook's.
        let id: UUID
        /// `KeyVault.noWorkspace` for an operators' webhook.
        let workspace: UUID
        let stored: String
    }

    private func stored(
        _ place: Place, after last: UUID?, butNotUnder prefix: String?
    ) async throws(PostgresError) -> [Entry] {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.stored_keys */
            SELECT \(sql: place.key) AS id, workspace_id, \(sql: place.column) AS stored
            FROM \(sql: place.table)
            WHERE \(sql: place.column) <> ''
              AND (\(last) IS NULL OR \(sql: place.key) > \(last))
              AND (\(prefix) IS NULL OR NOT starts_with(\(sql: place.column), \(prefix)))
              AND \(sql: place.condition)
            ORDER BY \(sql: place.key) LIMIT \(batchSize)
            """)
        var entries: [Entry] = []
        for row in rows {
            entries.append(
                Entry(
                    id: try row.decode("id"),
                    workspace: try row.decodeIfPresent("workspace_id") ?? KeyVault.noWorkspace,
                    stored: try row.decode("stored")))
        }
        return entries
    }

    private func rotate(_ place: Place, _ batch: [Entry], _ report: inout Report) async throws {
        var ids: [UUID] = []
        var old: [String] = []
        var new: [String] = []
        for entry in batch {
            do throws(KeyVaultError) {
                let key = try open(entry, place).key
                let column: KeyVault.Column = place == .settings ? .apolloKey : .webhookSecret
                new.append(try vault.seal(key, for: column, of: entry.workspace))
                ids.append(entry.id)
                old.append(entry.stored)
            } catch {
                if place == .settings {
                    report.unreadable.append(entry.id)
                } else {
                    report.unreadableWebhooks.append(entry.id)
                }
            }
        }
        guard !ids.isEmpty else { return }
        let (requester, rows, before, after) = (requester, ids, old, new)
        let count = try await pool.transaction { connection in
            if let requester { try connection.execute(requester.statement) }
            try Self.nameAction(place.action, connection)
            // Only where the old value is still there: who sets a key meanwhile wins.
            return try connection.execute(
                """
                /* jobworker:enrichment.rotate_keys */
                UPDATE \(sql: place.table) AS holder
                SET \(sql: place.column) = rotated.new
                FROM unnest(\(rows), \(before), \(after)) AS rotated (id, old, new)
                WHERE holder.\(sql: place.key) = rotated.id AND holder.\(sql: place.column) = rotated.old
                """
            ).affected
        }
        report.rotated += count
        report.changedMeanwhile += ids.count - count
    }
}
