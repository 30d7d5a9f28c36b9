package import Postgres

/// What is to be set for a queue; what is `nil` stays as it is.
package struct QueueRules: Sendable, Hashable {
    /// `.some(nil)` for no cap.
    package var maxRunning: Int??
    package var weight: Int?
    /// So long a wait is worth a step of priority; `.some(nil)` for none.
    package var ageing: Duration??
    package var isFair: Bool?
    package var deadLetter: Bool?

    package init() {}
}

extension JobStore {
    /// Sets rules of a queue; one that nobody knows yet is set up. They hold from the next claim on.
    /// - Throws: `PostgresError`.
    package func setRules(_ rules: QueueRules, queue: String, by requester: Requester) async throws {
        try await pool.transaction { connection in
            try connection.execute(requester.statement)
            try JobStore.setRules(rules, queue: queue, connection)
        }
    }

    /// The same, within a transaction.
    package static func setRules(
        _ rules: QueueRules, queue name: String, _ connection: isolated Connection
    ) throws(PostgresError) {
        let (setsCap, setsAgeing) = (rules.maxRunning != nil, rules.ageing != nil)
        try connection.execute(
            """
            /* jobworker:queues.set */
            INSERT INTO public.job_queues AS queue (name, max_running, weight, ageing, fair, dead_letter)
            VALUES (\(name), \(rules.maxRunning ?? nil), coalesce(\(rules.weight), 1), \(rules.ageing ?? nil),
                    coalesce(\(rules.isFair), false), coalesce(\(rules.deadLetter), false))
            ON CONFLICT (name) DO UPDATE
            SET max_running = CASE WHEN \(setsCap) THEN excluded.max_running ELSE queue.max_running END,
                weight = coalesce(\(rules.weight), queue.weight),
                ageing = CASE WHEN \(setsAgeing) THEN excluded.ageing ELSE queue.ageing END,
                fair = coalesce(\(rules.isFair), queue.fair),
                dead_letter = coalesce(\(rules.deadLetter), queue.dead_letter)
            """)
    }
}
