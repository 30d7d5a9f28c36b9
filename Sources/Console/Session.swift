import Doctor
package import Explanation
import Glibc
package import Enrichment
package import FoundationEssentials
import HTTPClient
package import JobWorker
package import Postgres
package import Settings

/// What a command works with: the settings, and the database they name.
package struct Session: Sendable {
    package let configuration: Configuration
    package let pool: ConnectionPool
    package let store: JobStore
    package let requester: Requester
    /// Where jobs are looked up and changed.
    package let source: any JobSource

    /// Reads the settings; connects when something is first asked for.
    /// - Parameters:
    ///   - socketPath: Of a worker of this machine, unless `WORKER_SOCKET` names another. It is asked where no database
    ///     is named, if it is there and an operator's token is known.
    ///   - reason: Why the person changes something; kept in the audit.
    /// - Throws: All mistakes in the settings at once.
    package init(_ sources: Sources, socketPath: String, reason: String? = nil) throws(SettingsReport) {
        configuration = try Configuration.load(sources)
        // One for the command, one for what it follows meanwhile.
        pool = ConnectionPool(
            ConnectionSettings(connectionString: configuration.databaseURL, applicationName: "jobworker command"),
            limit: 2)
        store = JobStore(pool: pool)
        requester = Requester(actor: "operator:\(UnixUser.name)", via: .cli, reason: reason)
        let socket = configuration[Catalog.socket] ?? socketPath
        if !Session.isDatabaseNamed(configuration, sources.environment), access(socket, W_OK) == 0,
            let token = configuration[Catalog.secretToken].first
        {
            source = SocketSource(socketPath: socket, token: token.token.withText { $0 }, reason: reason)
        } else {
            source = DatabaseSource(store: store, requester: requester, silence: configuration.workerSilence)
        }
    }

    /// By the settings, or for libpq itself.
    private static func isDatabaseNamed(_ configuration: Configuration, _ environment: [String: String]) -> Bool {
        configuration[Catalog.databaseURL] != nil
            || ["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE"].contains { environment[$0] != nil }
    }

    /// The workspaces' Apollo keys.
    package func apolloKeys() throws(KeyVaultError) -> ApolloKey {
        ApolloKey(
            pool: pool, client: Client(), vault: try configuration.keyVault(),
            apolloBaseURL: configuration[Catalog.apolloBaseURL])
    }

    /// Why a job is where it is; `nil` where there is none.
    package func explanation(of job: UUID) async throws -> Explanation? {
        let reader = FactReader(
            for: .operators, silence: configuration.workerSilence, staleAfter: configuration[Catalog.staleAfter],
            usualTimeout: configuration[Catalog.jobTimeout])
        return try await pool.transaction { connection in try reader.facts(of: job, connection) }.map(Explanation.init)
    }

    /// Of `MIGRATE_DATABASE_URL`, else of `DATABASE_URL`.
    package var migrator: Migrator {
        Migrator(
            settings: ConnectionSettings(
                connectionString: configuration.migrateConnection?.withText { $0 } ?? "",
                applicationName: "jobworker migrate"))
    }
}
