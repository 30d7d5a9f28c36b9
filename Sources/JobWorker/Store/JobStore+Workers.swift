package import Postgres

/// A worker process, as it last spoke of itself.
package struct WorkerStatus: Sendable, Hashable {
    package enum State: String, Sendable {
        case alive
        /// Neither heard of nor known to have stopped.
        case silent
        case stopped
    }

    package let id: String
    package let instance: String
    package let host: String
    package let pid: Int?
    package let version: String?
    package let queues: [String]
    package let jobTypes: [String]
    /// Those of them that are refused to members of workspaces.
    package let operatorTypes: [String]
    package let running: Int
    package let maxConcurrent: Int?
    package let startedAt: Timestamp
    package let seenAt: Timestamp
    package let state: State
    package let asOf: Timestamp

    package init(
        id: String, instance: String, host: String, pid: Int?, version: String?, queues: [String], jobTypes: [String],
        operatorTypes: [String] = [], running: Int, maxConcurrent: Int?, startedAt: Timestamp, seenAt: Timestamp,
        state: State, asOf: Timestamp
    ) {
        self.id = id
        self.instance = instance
        self.host = host
        self.pid = pid
        self.version = version
        self.queues = queues
        self.jobTypes = jobTypes
        self.operatorTypes = operatorTypes
        self.running = running
        self.maxConcurrent = maxConcurrent
        self.startedAt = startedAt
        self.seenAt = seenAt
        self.state = state
        self.asOf = asOf
    }
}

extension JobStore {
    /// Workers of the last day, the living first.
    /// - Parameter silence: How long a worker may be silent and still count as alive.
    package func workers(silence: Duration) async throws(PostgresError) -> [WorkerStatus] {
        let rows = try await pool.query(
            """
            /* jobworker:workers */
            SELECT id, instance, host, pid, version, queues, job_types, operator_types, running, max_concurrent,
                   started_at, seen_at,
                   stopped_at IS NOT NULL AS has_stopped, seen_at > clock_timestamp() - \(silence) AS is_heard,
                   clock_timestamp() AS as_of
            FROM public.job_workers
            ORDER BY has_stopped, is_heard DESC, host, instance, started_at
            """)
        var workers: [WorkerStatus] = []
        for row in rows {
            let hasStopped = try row.decode("has_stopped", as: Bool.self)
            let isHeard = try row.decode("is_heard", as: Bool.self)
            workers.append(
                WorkerStatus(
                    id: try row.decode("id"), instance: try row.decode("instance"), host: try row.decode("host"),
                    pid: try row.decodeIfPresent("pid"), version: try row.decodeIfPresent("version"),
                    queues: try row.decode("queues"), jobTypes: try row.decode("job_types"),
                    operatorTypes: try row.decode("operator_types"),
                    running: try row.decode("running"), maxConcurrent: try row.decodeIfPresent("max_concurrent"),
                    startedAt: try row.decode("started_at"), seenAt: try row.decode("seen_at"),
                    state: hasStopped ? .stopped : isHeard ? .alive : .silent, asOf: try row.decode("as_of")))
        }
        return workers
    }
}
