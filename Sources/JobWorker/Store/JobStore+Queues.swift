package import Postgres

/// A queue: what waits and runs in it, and what people have set for it.
package struct QueueStatus: Sendable, Hashable {
    package let name: String
    /// Pending, due or not.
    package let depth: Int
    /// Pending and due.
    package let due: Int
    /// Since when the one that waits longest has been due.
    package let oldestDueAt: Timestamp?
    package let processing: Int
    package let pausedAt: Timestamp?
    package let pausedBy: String?
    /// Most jobs at once over all processes; `nil` for no cap.
    package let maxRunning: Int?
    /// Its share beside other queues'.
    package let weight: Int
    /// So long a wait is worth a step of priority; `nil` for none.
    package let ageing: Duration?
    /// Workspaces take turns.
    package let isFair: Bool
    /// What has failed for good is set aside at once.
    package let setsAside: Bool
    package let asOf: Timestamp

    package init(
        name: String, depth: Int, due: Int, oldestDueAt: Timestamp?, processing: Int, pausedAt: Timestamp?,
        pausedBy: String?, maxRunning: Int?, weight: Int = 1, ageing: Duration? = nil, isFair: Bool = false,
        setsAside: Bool = false, asOf: Timestamp
    ) {
        self.name = name
        self.depth = depth
        self.due = due
        self.oldestDueAt = oldestDueAt
        self.processing = processing
        self.pausedAt = pausedAt
        self.pausedBy = pausedBy
        self.maxRunning = maxRunning
        self.weight = weight
        self.ageing = ageing
        self.isFair = isFair
        self.setsAside = setsAside
        self.asOf = asOf
    }
}

extension JobStore {
    /// Every queue that is known, or in which something waits or runs, by name. Relies on `jobs_due` and
    /// `jobs_processing`. Jobs without a workspace are left out: they never run.
    package func queues() async throws(PostgresError) -> [QueueStatus] {
        try Self.queues(in: try await pool.query(Self.queuesStatement(of: nil)))
    }

    /// One of them, within a transaction; `nil` where nothing is known of it.
    package static func queue(_ name: String, _ connection: isolated Connection) throws(PostgresError) -> QueueStatus? {
        try queues(in: try connection.execute(queuesStatement(of: name))).first
    }

    /// - Parameter name: `nil` for all.
    private static func queuesStatement(of name: String?) -> Statement {
        let own: Fragment = name.map { "AND coalesce(job_queue, 'default') = \($0)" } ?? ""
        return """
            /* jobworker:queues */
            WITH waiting AS (
                SELECT coalesce(job_queue, 'default') AS name, count(*) AS depth,
                       count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
                       min(due_at) FILTER (WHERE due_at <= clock_timestamp()) AS oldest_due_at
                FROM (SELECT job_queue, greatest(created_at, scheduled_for, next_retry_at) AS due_at
                      FROM public.jobs WHERE status = 'pending' AND workspace_id IS NOT NULL \(own)) AS pending
                GROUP BY 1
            ),
            running AS (
                SELECT coalesce(job_queue, 'default') AS name, count(*) AS processing
                FROM public.jobs WHERE status = 'processing' AND workspace_id IS NOT NULL \(own)
                GROUP BY 1
            )
            SELECT name, coalesce(depth, 0) AS depth, coalesce(due, 0) AS due, oldest_due_at,
                   coalesce(processing, 0) AS processing, paused_at, paused_by, max_running,
                   coalesce(weight, 1) AS weight, extract(epoch FROM ageing)::float8 AS ageing, coalesce(fair, false) AS fair,
                   coalesce(dead_letter, false) AS dead_letter, clock_timestamp() AS as_of
            FROM waiting FULL JOIN running USING (name) FULL JOIN public.job_queues USING (name)
            WHERE \(name) IS NULL OR name = \(name)
            ORDER BY name
            """
    }

    private static func queues(in rows: Rows) throws(PostgresError) -> [QueueStatus] {
        var queues: [QueueStatus] = []
        for row in rows {
            queues.append(
                QueueStatus(
                    name: try row.decode("name"), depth: try row.decode("depth"), due: try row.decode("due"),
                    oldestDueAt: try row.decodeIfPresent("oldest_due_at"), processing: try row.decode("processing"),
                    pausedAt: try row.decodeIfPresent("paused_at"), pausedBy: try row.decodeIfPresent("paused_by"),
                    maxRunning: try row.decodeIfPresent("max_running"), weight: try row.decode("weight"),
                    ageing: try row.decodeIfPresent("ageing", as: Double.self).map { .seconds($0) },
                    isFair: try row.decode("fair"), setsAside: try row.decode("dead_letter"),
                    asOf: try row.decode("as_of")))
        }
        return queues
    }

    /// Keeps a queue's jobs from being started, or lets them be started again; running ones go on. A queue that nobody
    /// knows yet is set up.
    /// - Returns: Whether that changed anything.
    /// - Throws: `PostgresError`.
    package func setPaused(_ isPaused: Bool, queue: String, by requester: Requester) async throws -> Bool {
        try await pool.transaction { connection in
            try connection.execute(requester.statement)
            let rows = try connection.execute(
                """
                /* jobworker:queues.pause */
                INSERT INTO public.job_queues AS queue (name, paused_at, paused_by)
                VALUES (\(queue), CASE WHEN \(isPaused) THEN clock_timestamp() END,
                        CASE WHEN \(isPaused) THEN \(requester.actor) END)
                ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by
                WHERE (queue.paused_at IS NULL) = \(isPaused)
                """)
            guard rows.affected > 0 else { return false }
            return true
        }
    }
}
