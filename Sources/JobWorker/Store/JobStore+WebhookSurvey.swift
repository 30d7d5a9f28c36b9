package import Postgres

/// How the endpoints are, all together.
package struct WebhookSurvey: Sendable, Hashable {
    package var endpoints = 0
    /// By the program, not by hand.
    package var disabled = 0
    /// Enabled ones whose last three tries or more failed.
    package var failing = 0
    /// Due deliveries to enabled endpoints that don't pause.
    package var waiting = 0
    /// Of the oldest of them.
    package var longestWait: Duration?

    package init() {}
}

extension JobStore {
    /// Looks at the endpoints and what waits for them. Relies on `webhook_deliveries_endpoint_due`.
    package func webhookSurvey() async throws(PostgresError) -> WebhookSurvey {
        let rows = try await pool.query(
            """
            /* jobworker:survey.webhooks */
            SELECT count(*) AS endpoints,
                   count(*) FILTER (WHERE NOT enabled AND disabled_reason IS NOT NULL) AS disabled,
                   count(*) FILTER (WHERE enabled AND consecutive_failures >= 3) AS failing,
                   coalesce(sum(due.count), 0)::bigint AS waiting,
                   extract(epoch FROM clock_timestamp() - min(due.oldest))::float8 AS longest
            FROM public.webhook_endpoints AS endpoint
            LEFT JOIN LATERAL (
                SELECT count(*) AS count, min(delivery.next_attempt_at) AS oldest
                FROM public.webhook_deliveries AS delivery
                WHERE delivery.status = 'pending' AND delivery.endpoint_id = endpoint.id
                  AND delivery.next_attempt_at <= clock_timestamp()
                  AND endpoint.enabled AND coalesce(endpoint.retry_at <= clock_timestamp(), true)
            ) AS due ON true
            """)
        var survey = WebhookSurvey()
        guard let row = rows.first else { return survey }
        survey.endpoints = try row.decode("endpoints")
        survey.disabled = try row.decode("disabled")
        survey.failing = try row.decode("failing")
        survey.waiting = try row.decode("waiting")
        survey.longestWait = try row.decodeIfPresent("longest", as: Double.self).map { .seconds($0) }
        return survey
    }
}
