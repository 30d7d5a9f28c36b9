package import ControlPlane
package import Enrichment
package import HTTPClient

/// All routes that need the database.
package struct HTTPSurface: Sendable {
    package let routes: [Route]

    /// - Parameters:
    ///   - silence: How long a worker may be silent and still count as alive.
    ///   - staleAfter: After such a silence a worker's jobs are taken back.
    ///   - jobTimeout: Of jobs without a time limit of their own.
    ///   - client: Asks Apollo whether a key is right.
    package init(
        database: APIDatabase, hub: EventHub, silence: Duration, staleAfter: Duration, jobTimeout: Duration,
        vault: KeyVault, client: Client, apolloBaseURL: String
    ) {
        let keys = ApolloKey(pool: database.asWorker, client: client, vault: vault, apolloBaseURL: apolloBaseURL)
        routes =
            JobRoutes(database: database).routes
            + WhyRoutes(
                database: database, silence: silence, staleAfter: staleAfter, usualTimeout: jobTimeout
            ).routes + JobCreation(database: database).routes
            + BulkRoutes(database: database).routes + StatisticsRoutes(database: database).routes
            + EventRoutes(database: database, hub: hub).routes + RecordRoutes(database: database).routes
            + WorkspaceRoutes(database: database, vault: vault, keys: keys).routes
            + ScheduleRoutes(database: database).routes
            + WebhookRoutes(database: database, vault: vault).routes
            + OperationRoutes(database: database, silence: silence).routes
    }

    /// What their descriptions refer to.
    package static let components: [(name: String, schema: Schema)] = [("Job", JobDocument.schema)]
}
