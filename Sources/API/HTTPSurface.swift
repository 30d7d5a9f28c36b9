package import ControlPlane
package import Enrichment
package import HTTPClient
package import JobWorker

/// All routes that need the database.
package struct HTTPSurface: Sendable {
    package let routes: [Route]

    /// - Parameters:
    ///   - silence: How long a worker may be silent and still count as alive.
    ///   - staleAfter: After such a silence a worker's jobs are taken back.
    ///   - jobTimeout: Of jobs without a time limit of their own.
    ///   - attemptTokens: For progress and log rows of attempts that an endpoint carries out.
    ///   - client: Asks Apollo whether a key is right.
    package init(
        database: APIDatabase, hub: EventHub, silence: Duration, staleAfter: Duration, jobTimeout: Duration,
        vault: KeyVault, client: Client, apolloBaseURL: String, attemptTokens: AttemptTokens? = nil
    ) {
        let keys = ApolloKey(pool: database.asWorker, client: client, vault: vault, apolloBaseURL: apolloBaseURL)
        routes =
            JobRoutes(database: database).routes
            + WhyRoutes(
                database: database, silence: silence, staleAfter: staleAfter, usualTimeout: jobTimeout
            ).routes + JobCreation(database: database).routes
            + BulkRoutes(database: database).routes + OperationRoutes(database: database).routes
            + StatisticsRoutes(database: database).routes
            + EventRoutes(database: database, hub: hub).routes + RecordRoutes(database: database).routes
            + WorkspaceRoutes(database: database, vault: vault, keys: keys).routes
            + ScheduleRoutes(database: database).routes
            + AttemptRoutes(database: database, tokens: attemptTokens).routes
            + WebhookRoutes(database: database, vault: vault).routes
            + WorkflowRoutes(database: database).routes
            + QueueRoutes(database: database, silence: silence).routes
            + LimitRoutes(database: database).routes
            + AlertRoutes(database: database).routes
    }

    /// What their descriptions refer to.
    package static let components: [(name: String, schema: Schema)] = [("Job", JobDocument.schema)]
}
