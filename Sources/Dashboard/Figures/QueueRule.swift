import API
import Postgres

/// What people set for a queue.
struct QueueRule: Sendable, Hashable {
    let name: String
    var pausedAt: Timestamp?
    var pausedBy: String?
    var maxRunning: Int?
    var weight = 1
    /// Seconds.
    var ageing: Int?
    var isFair = false
    var keepsDeadLetters = false

    /// Those that are set up; they are few.
    static func read(_ database: APIDatabase) async throws -> [QueueRule] {
        let rows = try await database.asWorker.query(
            """
            /* jobworker:dashboard.queue_rules */
            SELECT name, paused_at, paused_by, max_running, weight, ceil(extract(epoch FROM ageing))::bigint AS ageing, fair,
                   dead_letter
            FROM public.job_queues ORDER BY name LIMIT 1000
            """)
        return try rows.map { row in
            QueueRule(
                name: try row.decode("name"), pausedAt: try row.decodeIfPresent("paused_at"),
                pausedBy: try row.decodeIfPresent("paused_by"), maxRunning: try row.decodeIfPresent("max_running"),
                weight: try row.decode("weight"), ageing: try row.decodeIfPresent("ageing"),
                isFair: try row.decode("fair"), keepsDeadLetters: try row.decode("dead_letter"))
        }
    }
}
