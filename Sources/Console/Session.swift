import Doctor
package import Explanation
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

    /// Reads the settings; connects when something is first asked for.
    /// - Parameter reason: Why the person changes something; kept in the audit.
    /// - Throws: All mistakes in the settings at once.
    package init(_ sources: Sources, reason: String? = nil) throws(SettingsReport) {
        configuration = try Configuration.load(sources)
        // One for the command, one for what it follows meanwhile.
        pool = ConnectionPool(
            ConnectionSettings(connectionString: configuration.databaseURL, applicationName: "jobworker command"),
            limit: 2)
        store = JobStore(pool: pool)
        requester = Requester(actor: "operator:\(UnixUser.name)", via: .cli, reason: reason)
    }

    /// The workspaces' Apollo keys.
    package func apolloKeys() throws(KeyVaultError) -> ApolloKey {
        ApolloKey(
            pool: pool, client: Client(), vault: try configuration.keyVault(),
            apolloBaseURL: configuration[Catalog.apolloBaseURL])
    }

    /// Figures about all jobs, or those of one workspace; queues belong to no workspace.
    package func statistics(workspaceID: UUID?) async throws(PostgresError) -> StatisticsView {
        let statistics = try await store.statistics(workspaceID: workspaceID)
        guard workspaceID == nil else { return StatisticsView(statistics, queues: [], unserved: []) }
        return StatisticsView(
            statistics, queues: try await store.queues(),
            unserved: try await store.unservedTypes(silence: configuration.workerSilence))
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
