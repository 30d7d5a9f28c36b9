package import FoundationEssentials
package import Postgres

/// How many deliveries may be sent from here.
package struct DeliveryRoom: Sendable {
    /// Deliveries that are being sent, by their endpoint.
    package var busy: [UUID: Int] = [:]
    /// More of them in all.
    package var free: Int
    /// Of these for endpoints whose last try failed.
    package var freeForFailing: Int
    /// Most at once for one endpoint. One whose last try failed gets one.
    package var endpointMax: Int

    package init(busy: [UUID: Int] = [:], free: Int, freeForFailing: Int, endpointMax: Int) {
        self.busy = busy
        self.free = free
        self.freeForFailing = freeForFailing
        self.endpointMax = endpointMax
    }
}

/// What is to be sent.
package struct ClaimedDeliveries: Sendable {
    package let deliveries: [WebhookDelivery]
    /// When the next of the others is due; `nil` where there is none.
    package let next: Timestamp?
    /// An endpoint rests, as its last tries failed, while more of its deliveries are due.
    package let anyRests: Bool
    package let now: Timestamp
}

/// What a try is to leave in the database.
package struct DeliverySettlement: Sendable {
    package let delivery: WebhookDelivery
    package let answer: WebhookAnswer
    /// Until the next try, if one is to follow.
    package let delay: Duration

    package init(delivery: WebhookDelivery, answer: WebhookAnswer, delay: Duration) {
        self.delivery = delivery
        self.answer = answer
        self.delay = delay
    }
}

/// What the database made of the tries.
package struct SettledDeliveries: Sendable {
    /// `delivered`, `pending` (another try follows) or `failed`, by the delivery. Those that aren't here had been taken
    /// over, changed or removed.
    package let statuses: [UUID: String]
    /// Endpoints that were disabled, and why.
    package let disabled: [UUID: String]
    /// Deliveries that somebody had locked and that are leased still: who asked may ask again.
    package let held: Set<UUID>
}

extension JobStore {
    /// For so long nobody else sends a delivery that was claimed: a few times what a try may take.
    package static let deliveryLease = Duration.seconds(30)

    /// When the next delivery is due: a column of the timer's look, one probe of `webhook_deliveries_due`. Null where
    /// there is none.
    static let nextDelivery: Fragment = """
        (SELECT next_attempt_at FROM public.webhook_deliveries
         WHERE status = 'pending' ORDER BY next_attempt_at, id LIMIT 1)
        """

    /// Takes due deliveries, from every endpoint that has any: one with many waiting keeps nobody else back. Those of
    /// disabled endpoints fail.
    ///
    /// Relies on `webhook_deliveries_endpoint_due`: two probes for each endpoint that has pending ones.
    package func claimDeliveries(_ room: DeliveryRoom) async throws(PostgresError) -> ClaimedDeliveries {
        let busy = room.busy.filter { $0.value > 0 }
        let rows = try await pool.query(
            """
            /* jobworker:deliveries.claim */
            WITH RECURSIVE clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
            holders (endpoint_id) AS (
                (SELECT endpoint_id FROM public.webhook_deliveries
                 WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1)
                UNION ALL
                SELECT (SELECT endpoint_id FROM public.webhook_deliveries
                        WHERE status = 'pending' AND endpoint_id > holders.endpoint_id ORDER BY endpoint_id LIMIT 1)
                FROM holders WHERE holders.endpoint_id IS NOT NULL
            ),
            endpoints AS MATERIALIZED (
                SELECT endpoint.id, endpoint.url, endpoint.secret_encrypted, endpoint.enabled, endpoint.retry_at,
                       endpoint.consecutive_failures > 0 AS is_failing,
                       coalesce(endpoint.retry_at > clock.now, false) AS is_resting,
                       CASE WHEN endpoint.consecutive_failures > 0 THEN 1 ELSE \(room.endpointMax) END
                           - coalesce(busy.count, 0) AS room,
                       EXISTS (SELECT FROM public.webhook_deliveries AS one
                               WHERE one.status = 'pending' AND one.endpoint_id = endpoint.id
                                 AND one.next_attempt_at <= clock.now) AS is_due
                FROM holders JOIN public.webhook_endpoints AS endpoint ON endpoint.id = holders.endpoint_id
                CROSS JOIN clock
                LEFT JOIN unnest(\(Array(busy.keys)), \(Array(busy.values))) AS busy (id, count) ON busy.id = endpoint.id
            ),
            -- In a different order each time; those that answer first.
            ready AS (
                SELECT id, is_failing, room, row_number() OVER (PARTITION BY is_failing ORDER BY random()) AS place
                FROM endpoints WHERE enabled AND is_due AND NOT is_resting AND room > 0
            ),
            picked AS MATERIALIZED (
                SELECT one.id
                FROM (SELECT id, room FROM ready WHERE NOT is_failing OR place <= \(room.freeForFailing)
                      ORDER BY is_failing, place) AS ready
                CROSS JOIN LATERAL (
                    SELECT delivery.id FROM public.webhook_deliveries AS delivery
                    WHERE delivery.status = 'pending' AND delivery.endpoint_id = ready.id
                      AND delivery.next_attempt_at <= (SELECT now FROM clock)
                    ORDER BY delivery.next_attempt_at, delivery.id
                    LIMIT ready.room
                    FOR UPDATE OF delivery SKIP LOCKED
                ) AS one
                LIMIT \(room.free)
            ),
            claimed AS (
                UPDATE public.webhook_deliveries AS delivery
                SET attempts = delivery.attempts + 1, next_attempt_at = clock_timestamp() + \(JobStore.deliveryLease)
                FROM endpoints
                WHERE delivery.id = ANY (ARRAY(SELECT id FROM picked)) AND endpoints.id = delivery.endpoint_id
                RETURNING delivery.id, delivery.endpoint_id, delivery.workspace_id, delivery.event, delivery.created_at,
                    delivery.payload::text AS payload, delivery.attempts, delivery.next_attempt_at,
                    endpoints.url, endpoints.secret_encrypted, endpoints.is_failing
            ),
            dropped AS (
                UPDATE public.webhook_deliveries
                SET status = 'failed', next_attempt_at = NULL, error = 'the endpoint is disabled'
                WHERE id = ANY (ARRAY(
                    SELECT one.id FROM endpoints CROSS JOIN LATERAL (
                        SELECT delivery.id FROM public.webhook_deliveries AS delivery
                        WHERE delivery.status = 'pending' AND delivery.endpoint_id = endpoints.id
                        ORDER BY delivery.next_attempt_at, delivery.id
                        LIMIT 500
                        FOR UPDATE OF delivery SKIP LOCKED
                    ) AS one
                    WHERE NOT endpoints.enabled))
            )
            SELECT clock.now,
                   (SELECT min(CASE WHEN is_resting THEN retry_at
                                    ELSE (SELECT one.next_attempt_at FROM public.webhook_deliveries AS one
                                          WHERE one.status = 'pending' AND one.endpoint_id = endpoints.id
                                            AND one.next_attempt_at > clock.now
                                          ORDER BY one.next_attempt_at LIMIT 1) END)
                    FROM endpoints WHERE enabled) AS following,
                   EXISTS (SELECT FROM endpoints WHERE enabled AND is_due AND is_resting) AS any_rests,
                   claimed.*
            FROM clock LEFT JOIN claimed ON true
            """)
        guard let first = rows.first else {
            throw PostgresError(
                .malformed, operation: "jobworker:deliveries.claim", message: "the statement gave no row")
        }
        var deliveries: [WebhookDelivery] = []
        for row in rows {
            guard let id: UUID = try row.decodeIfPresent("id") else { continue }
            deliveries.append(
                WebhookDelivery(
                    id: id, endpointID: try row.decode("endpoint_id"),
                    workspaceID: try row.decodeIfPresent("workspace_id"),
                    url: try row.decode("url"), sealedSecret: try row.decode("secret_encrypted"),
                    event: try row.decode("event"), createdAt: try row.decode("created_at"),
                    data: try row.decode("payload"), attempt: try row.decode("attempts"),
                    leasedUntil: try row.decode("next_attempt_at"), isProbe: try row.decode("is_failing")))
        }
        return ClaimedDeliveries(
            deliveries: deliveries, next: try first.decodeIfPresent("following"),
            anyRests: try first.decode("any_rests"),
            now: try first.decode("now"))
    }

    /// Stores what came of tries, counts the failures of their endpoints, and disables those with too many.
    ///
    /// Who was late finds the delivery taken over and changes nothing. Rows that somebody has locked are passed over:
    /// nobody's open transaction keeps a worker waiting. It may be another worker that looked at the row a moment too late,
    /// so the answer tells which; what is not stored before its lease ends is sent once more.
    /// - Parameters:
    ///   - failuresMax: So many failures of an endpoint one after the other disable it.
    ///   - workerID: For the audit.
    package func settleDeliveries(
        _ settlements: [DeliverySettlement], failuresMax: Int, workerID: String
    ) async throws(PostgresError) -> SettledDeliveries {
        let words: [String] = settlements.map { settlement in
            switch settlement.answer.outcome {
            case .delivered: "delivered"
            case .failed: "failed"
            case .gone: "gone"
            }
        }
        let rows = try await pool.query(
            """
            /* jobworker:deliveries.settle */
            WITH given AS (
                SELECT * FROM unnest(
                    \(settlements.map(\.delivery.id)), \(settlements.map(\.delivery.attempt)),
                    \(settlements.map(\.delivery.leasedUntil)), \(words),
                    \(NullableArray(settlements.map(\.answer.status))), \(NullableArray(settlements.map(\.answer.error))),
                    \(settlements.map(\.delay.seconds)))
                    AS given (id, attempts, leased_until, outcome, response_status, error, delay)
            ),
            open AS MATERIALIZED (
                SELECT given.*, clock_timestamp() + make_interval(secs => given.delay) AS again_at
                FROM given JOIN public.webhook_deliveries AS delivery ON delivery.id = given.id
                WHERE delivery.status = 'pending' AND delivery.attempts = given.attempts
                  AND delivery.next_attempt_at = given.leased_until
                ORDER BY delivery.id
                FOR UPDATE OF delivery SKIP LOCKED
            ),
            held AS (
                SELECT given.id
                FROM given JOIN public.webhook_deliveries AS delivery ON delivery.id = given.id
                WHERE delivery.status = 'pending' AND delivery.attempts = given.attempts
                  AND delivery.next_attempt_at = given.leased_until AND given.leased_until > clock_timestamp()
                  AND NOT EXISTS (SELECT FROM open WHERE open.id = given.id)
            ),
            settled AS (
                UPDATE public.webhook_deliveries AS delivery
                SET status = verdict.status, next_attempt_at = CASE verdict.status WHEN 'pending' THEN open.again_at END,
                    response_status = open.response_status, error = open.error,
                    delivered_at = CASE verdict.status WHEN 'delivered' THEN clock_timestamp() END
                FROM open CROSS JOIN LATERAL (
                    SELECT CASE WHEN open.outcome = 'delivered' THEN 'delivered'
                                WHEN open.outcome = 'gone' THEN 'failed'
                                WHEN open.again_at > (SELECT give_up_at FROM public.webhook_deliveries AS own
                                                      WHERE own.id = open.id) THEN 'failed'
                                ELSE 'pending' END) AS verdict (status)
                WHERE delivery.id = open.id
                RETURNING delivery.id, delivery.endpoint_id, open.outcome, delivery.status
            ),
            tried AS (
                SELECT endpoint_id, bool_or(outcome = 'delivered') AS is_heard, bool_or(outcome = 'gone') AS is_gone,
                       count(*) FILTER (WHERE outcome <> 'delivered') AS failures
                FROM settled GROUP BY endpoint_id
            ),
            counted AS MATERIALIZED (
                SELECT endpoint.id, endpoint.workspace_id, tried.is_gone,
                       CASE WHEN tried.is_heard THEN 0 ELSE endpoint.consecutive_failures + tried.failures END AS failures
                FROM tried JOIN public.webhook_endpoints AS endpoint ON endpoint.id = tried.endpoint_id
                -- An endpoint that is well is not written to.
                WHERE endpoint.enabled AND (tried.failures > 0 OR endpoint.consecutive_failures > 0)
                ORDER BY endpoint.id
                FOR NO KEY UPDATE OF endpoint SKIP LOCKED
            ),
            noted AS (
                UPDATE public.webhook_endpoints AS endpoint
                SET consecutive_failures = counted.failures,
                    -- The first failures may be single events' own; then the others wait, too.
                    retry_at = CASE WHEN counted.failures >= 3 THEN clock_timestamp() + make_interval(
                        secs => least(5 * 2 ^ least(counted.failures - 3, 20), 900)) END,
                    enabled = verdict.reason IS NULL,
                    disabled_reason = verdict.reason
                FROM counted CROSS JOIN LATERAL (
                    SELECT CASE WHEN counted.is_gone THEN 'the receiver answered 410: it wants no more'
                                WHEN counted.failures >= \(failuresMax)
                                    THEN format('%s tries failed, one after the other', counted.failures) END)
                    AS verdict (reason)
                WHERE endpoint.id = counted.id
                RETURNING endpoint.id, endpoint.workspace_id, endpoint.url, endpoint.disabled_reason
            ),
            audited AS (
                INSERT INTO public.job_audit (workspace_id, actor, via, action, subject, before, after, reason)
                SELECT workspace_id, \("worker:" + workerID), 'worker', 'webhook.disable', id::text,
                       '{"enabled": true}', '{"enabled": false}', disabled_reason
                FROM noted WHERE disabled_reason IS NOT NULL
            )
            SELECT id, status, NULL AS disabled_reason FROM settled
            UNION ALL
            SELECT id, NULL, disabled_reason FROM noted WHERE disabled_reason IS NOT NULL
            UNION ALL
            SELECT id, NULL, NULL FROM held
            """)
        var statuses: [UUID: String] = [:]
        var disabled: [UUID: String] = [:]
        var held: Set<UUID> = []
        for row in rows {
            let id: UUID = try row.decode("id")
            if let status: String = try row.decodeIfPresent("status") {
                statuses[id] = status
            } else if let reason: String = try row.decodeIfPresent("disabled_reason") {
                disabled[id] = reason
            } else {
                held.insert(id)
            }
        }
        return SettledDeliveries(statuses: statuses, disabled: disabled, held: held)
    }

    /// Clears away settled deliveries that are older, a batch of them, and lets the ends of jobs cost nothing again where
    /// no endpoint is left. Relies on `webhook_deliveries_newest`.
    /// - Returns: How many are gone; `batch` where there may be more.
    package func clearDeliveries(olderThan age: Duration, batch: Int = 500) async throws(PostgresError) -> Int {
        let rows = try await pool.query(
            """
            /* jobworker:deliveries.clear */
            WITH old AS (
                DELETE FROM public.webhook_deliveries WHERE id = ANY (ARRAY(
                    SELECT id FROM public.webhook_deliveries
                    WHERE status <> 'pending' AND created_at < clock_timestamp() - \(age)
                    ORDER BY created_at LIMIT \(batch)
                    FOR UPDATE SKIP LOCKED))
                RETURNING id
            )
            SELECT count(*) AS count, jobworker.rest_webhooks() AS rests FROM old
            """)
        return try rows.first?.decode("count") ?? 0
    }
}
