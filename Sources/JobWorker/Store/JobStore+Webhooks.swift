package import FoundationEssentials
package import Postgres

/// Which deliveries are meant. All conditions hold together.
package struct DeliveryFilter: Sendable, Hashable {
    package var endpointID: UUID?
    package var jobID: UUID?
    /// `pending`, `delivered` or `failed`; `nil` for all.
    package var status: String?

    package init(endpointID: UUID? = nil, jobID: UUID? = nil, status: String? = nil) {
        self.endpointID = endpointID
        self.jobID = jobID
        self.status = status
    }
}

extension JobStore {
    /// Most endpoints that are listed.
    package static let webhooksListedMax = 10_000

    /// The endpoints of a workspace, or of all, the oldest first.
    package func webhooks(in workspace: UUID? = nil) async throws(PostgresError) -> [WebhookEndpoint] {
        let rows = try await pool.query(
            """
            /* jobworker:webhooks.list */
            SELECT \(sql: WebhookEndpoint.columns) FROM public.webhook_endpoints
            WHERE \(workspace) IS NULL OR workspace_id = \(workspace)
            ORDER BY workspace_id, created_at, id LIMIT \(JobStore.webhooksListedMax)
            """)
        var endpoints: [WebhookEndpoint] = []
        for row in rows { endpoints.append(try WebhookEndpoint(row)) }
        return endpoints
    }

    /// - Parameters:
    ///   - workspace: `nil` for an endpoint of operators, which is told of alerts.
    ///   - sealedSecret: As the row is to hold it.
    /// - Throws: `WebhookRefusal`, `PostgresError`.
    package func addWebhook(
        _ url: String, in workspace: UUID?, events: [String]?, jobTypes: [String]?, sealedSecret: String,
        by requester: Requester
    ) async throws -> WebhookEndpoint {
        try await writing(requester) { connection in
            try connection.execute(
                """
                /* jobworker:webhooks.add */
                INSERT INTO public.webhook_endpoints (workspace_id, url, events, job_types, secret_encrypted)
                VALUES (\(workspace), \(url), \(events), \(jobTypes), \(sealedSecret))
                RETURNING \(sql: WebhookEndpoint.columns)
                """
            ).first.map { try WebhookEndpoint($0) }
        }
    }

    /// - Throws: `WebhookRefusal`, `PostgresError`.
    package func setEnabled(
        _ isEnabled: Bool, webhook id: UUID, by requester: Requester
    ) async throws -> WebhookEndpoint {
        let endpoint: WebhookEndpoint? = try await writing(requester) { connection in
            try connection.execute(
                """
                /* jobworker:webhooks.enable */
                UPDATE public.webhook_endpoints SET enabled = \(isEnabled) WHERE id = \(id)
                RETURNING \(sql: WebhookEndpoint.columns)
                """
            ).first.map { try WebhookEndpoint($0) }
        }
        return try JobStore.found(endpoint, "webhook \(id.text)")
    }

    /// Its deliveries go with it.
    /// - Throws: `WebhookRefusal`, `PostgresError`.
    package func removeWebhook(_ id: UUID, by requester: Requester) async throws -> WebhookEndpoint {
        let endpoint: WebhookEndpoint? = try await writing(requester) { connection in
            try connection.execute(
                """
                /* jobworker:webhooks.remove */
                DELETE FROM public.webhook_endpoints WHERE id = \(id) RETURNING \(sql: WebhookEndpoint.columns)
                """
            ).first.map { try WebhookEndpoint($0) }
        }
        return try JobStore.found(endpoint, "webhook \(id.text)")
    }

    /// An event of its own that shows whether an endpoint hears; sent by a worker.
    /// - Throws: `WebhookRefusal`, `PostgresError`.
    package func testWebhook(_ id: UUID, by requester: Requester) async throws -> WebhookDeliveryRecord {
        let delivery: WebhookDeliveryRecord? = try await writing(requester) { connection in
            try connection.execute(
                """
                /* jobworker:webhooks.test */
                SELECT \(sql: WebhookDeliveryRecord.columns) FROM jobworker.test_webhook(\(id))
                """
            ).first.map { try WebhookDeliveryRecord($0) }
        }
        return try JobStore.found(delivery, "webhook \(id.text)")
    }

    /// Sends a settled delivery once more.
    /// - Throws: `WebhookRefusal`, `PostgresError`.
    package func redeliver(_ id: UUID, by requester: Requester) async throws -> WebhookDeliveryRecord {
        let delivery: WebhookDeliveryRecord? = try await writing(requester) { connection in
            try connection.execute(
                """
                /* jobworker:webhooks.redeliver */
                SELECT \(sql: WebhookDeliveryRecord.columns) FROM jobworker.redeliver(\(id))
                """
            ).first.map { try WebhookDeliveryRecord($0) }
        }
        return try JobStore.found(delivery, "delivery \(id.text)")
    }

    /// The newest first. Relies on `webhook_deliveries_endpoint`, or `webhook_deliveries_newest`.
    package func deliveries(_ filter: DeliveryFilter, limit: Int) async throws(PostgresError)
        -> [WebhookDeliveryRecord]
    {
        let rows = try await pool.query(
            """
            /* jobworker:webhooks.deliveries */
            SELECT \(sql: WebhookDeliveryRecord.columns) FROM public.webhook_deliveries
            WHERE (\(filter.endpointID) IS NULL OR endpoint_id = \(filter.endpointID))
              AND (\(filter.jobID) IS NULL OR job_id = \(filter.jobID))
              AND (\(filter.status) IS NULL OR status = \(filter.status))
            ORDER BY created_at DESC, id DESC LIMIT \(limit)
            """)
        var deliveries: [WebhookDeliveryRecord] = []
        for row in rows { deliveries.append(try WebhookDeliveryRecord(row)) }
        return deliveries
    }

    /// - Returns: `nil` where there is none.
    package func delivery(_ id: UUID) async throws(PostgresError) -> WebhookDeliveryRecord? {
        let rows = try await pool.query(
            """
            /* jobworker:webhooks.delivery */
            SELECT \(sql: WebhookDeliveryRecord.columns) FROM public.webhook_deliveries WHERE id = \(id)
            """)
        guard let row = rows.first else { return nil }
        return try WebhookDeliveryRecord(row)
    }

    private static func found<Value>(_ value: Value?, _ what: String) throws -> Value {
        guard let value else { throw WebhookRefusal.notFound(what: what) }
        return value
    }

    private func writing<Value: Sendable>(
        _ requester: Requester, _ body: @Sendable (isolated Connection) throws -> Value?
    ) async throws -> Value? {
        do {
            return try await pool.transaction { connection in
                try connection.execute(requester.statement)
                return try body(connection)
            }
        } catch let error as PostgresError {
            switch error.sqlState {
            case "P0002": return nil
            case "22023", "23514": throw WebhookRefusal.invalid(error.message)
            case "23503": throw WebhookRefusal.invalid("there is no such workspace")
            case "JW409": throw WebhookRefusal.conflict(error.message)
            default: throw error
            }
        }
    }

    private func writing<Value: Sendable>(
        _ requester: Requester, _ body: @Sendable (isolated Connection) throws -> Value?
    ) async throws -> Value {
        let value: Value? = try await writing(requester, body)
        return try JobStore.found(value, "such webhook")
    }
}
