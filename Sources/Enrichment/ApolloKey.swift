public import FoundationEssentials
public import HTTPClient
package import JobWorker
public import Postgres

/// The Apollo key of a workspace, as its admins see it: set, tested, removed, never read back.
public struct ApolloKey: Sendable {
    /// What may be shown of a stored key.
    public struct Status: Sendable, Hashable {
        public let isConfigured: Bool
        /// `nil` when there is no key, when it can't be decrypted, or when it is too short to show a part of it.
        public let lastFour: String?
        /// `nil` when there is no key or it can't be decrypted.
        public let protection: KeyVault.Protection?
        /// Why a stored key can't be used.
        public let problem: String?
    }

    /// What Apollo says about the stored key. The test is free of charge; Apollo tells no credit balance.
    public struct TestResult: Sendable, Hashable {
        public let success: Bool
        /// `nil` on success.
        public let errorMessage: String?
    }

    private let pool: ConnectionPool
    private let vault: KeyVault
    private let apollo: ApolloClient

    /// - Parameter apolloBaseURL: `APOLLO_BASE_URL`.
    public init(pool: ConnectionPool, client: Client, vault: KeyVault, apolloBaseURL: String = "https://api.apollo.io")
    {
        self.pool = pool
        self.vault = vault
        apollo = ApolloClient(client: client, baseURL: apolloBaseURL, timeout: .seconds(15))
    }

    /// Encrypts and stores the key, in place of an earlier one, and lifts what was remembered of that.
    /// - Throws: `KeyVaultError.noKeys`, `PostgresError`.
    public func set(workspace: UUID, key: APIKey) async throws {
        try await set(workspace: workspace, key: key, by: nil)
    }

    /// - Parameter requester: On whose behalf; `nil` for the program's own, which leaves no audit.
    package func set(workspace: UUID, key: APIKey, by requester: Requester?) async throws {
        let sealed = try vault.seal(key, workspace: workspace)
        try await pool.transaction { connection in
            if let requester { try connection.execute(requester.statement) }
            try connection.execute(
                """
                /* jobworker:enrichment.set_key */
                INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted, apollo_api_key_hint)
                VALUES (\(workspace), \(sealed), \(key.lastFour))
                ON CONFLICT (workspace_id) DO UPDATE
                SET apollo_api_key_encrypted = excluded.apollo_api_key_encrypted,
                    apollo_api_key_hint = excluded.apollo_api_key_hint, updated_at = now()
                """)
        }
        try await RefusalMemory(pool: pool).forget(workspace: workspace)
    }

    /// Removes the key; new accounts and contacts are no longer enriched by themselves either.
    /// - Returns: Whether there was one.
    /// - Throws: `PostgresError`.
    public func remove(workspace: UUID) async throws(PostgresError) -> Bool {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.remove_key */
            UPDATE public.workspace_settings
            SET apollo_api_key_encrypted = NULL, apollo_api_key_hint = NULL, apollo_auto_enrich = false,
                updated_at = now()
            WHERE workspace_id = \(workspace) AND apollo_api_key_encrypted IS NOT NULL
            """)
        return rows.affected > 0
    }

    /// - Throws: `PostgresError`.
    public func status(workspace: UUID) async throws(PostgresError) -> Status {
        guard let stored = try await storedKey(workspace) else {
            return Status(isConfigured: false, lastFour: nil, protection: nil, problem: nil)
        }
        do throws(KeyVaultError) {
            let (key, protection) = try vault.open(stored, workspace: workspace)
            return Status(isConfigured: true, lastFour: key.lastFour, protection: protection, problem: nil)
        } catch {
            return Status(isConfigured: true, lastFour: nil, protection: nil, problem: error.description)
        }
    }

    /// Asks Apollo whether it knows the stored key. Whatever the answer, jobs may ask again afterwards.
    /// - Throws: `PostgresError`, `CancellationError`.
    public func test(workspace: UUID) async throws -> TestResult {
        guard let stored = try await storedKey(workspace) else {
            return TestResult(success: false, errorMessage: "Apollo API key not configured")
        }
        let key: APIKey
        do throws(KeyVaultError) {
            key = try vault.open(stored, workspace: workspace).key
        } catch {
            return TestResult(success: false, errorMessage: "The stored key can't be decrypted: enter it again")
        }
        let isKnown: Bool
        do {
            isKnown = try await apollo.isLoggedIn(key: key)
        } catch let fault as ApolloFault {
            return TestResult(success: false, errorMessage: fault.failure(.organization).message)
        }
        try await RefusalMemory(pool: pool).forget(workspace: workspace)
        return isKnown
            ? TestResult(success: true, errorMessage: nil)
            : TestResult(success: false, errorMessage: "Apollo does not accept this API key")
    }

    /// Lets jobs ask Apollo again, as the key has changed.
    /// - Throws: `PostgresError`.
    public func forgetRefusals(workspace: UUID) async throws(PostgresError) {
        try await RefusalMemory(pool: pool).forget(workspace: workspace)
    }

    /// Encrypts the stored key anew with the vault's first key.
    /// - Returns: Whether that was needed and is done; a key that was set meanwhile stays.
    /// - Throws: `KeyVaultError`, `PostgresError`.
    public func rotate(workspace: UUID) async throws -> Bool {
        try await pool.transaction { connection in try rotate(workspace: workspace, connection) }
    }

    /// The same within a transaction; it stands in the audit if that speaks for somebody.
    package func rotate(workspace: UUID, _ connection: isolated Connection) throws -> Bool {
        guard let current = vault.currentKeyID else { throw KeyVaultError.noKeys }
        let rows = try connection.execute(Self.stored(of: workspace))
        guard let stored: String = try rows.first?.decodeIfPresent("apollo_api_key_encrypted"), !stored.isEmpty,
            !stored.hasPrefix("v1:\(current):")
        else { return false }
        let sealed = try vault.seal(try vault.open(stored, workspace: workspace).key, workspace: workspace)
        try KeyRotation.nameAction(connection)
        return try connection.execute(
            """
            /* jobworker:enrichment.rotate_key */
            UPDATE public.workspace_settings SET apollo_api_key_encrypted = \(sealed)
            WHERE workspace_id = \(workspace) AND apollo_api_key_encrypted = \(stored)
            """
        ).affected > 0
    }

    private static func stored(of workspace: UUID) -> Statement {
        """
        /* jobworker:enrichment.stored_key */
        SELECT apollo_api_key_encrypted FROM public.workspace_settings WHERE workspace_id = \(workspace)
        """
    }

    private func storedKey(_ workspace: UUID) async throws(PostgresError) -> String? {
        let rows = try await pool.query(Self.stored(of: workspace))
        let stored: String? = try rows.first?.decodeIfPresent("apollo_api_key_encrypted")
        return stored?.isEmpty == false ? stored : nil
    }
}
