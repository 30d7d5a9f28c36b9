package import Postgres

/// How a worker that waits wants to be woken.
package struct Attention: Sendable {
    package let workerID: String
    /// Its own, on which it listens.
    package let channel: String
    /// `*` for all.
    package let queues: [String]
    /// `nil` for all.
    package let jobTypes: [String]?
    /// Without a sign of the worker it is not woken any more after this time.
    package let lasting: Duration
    /// It looks by itself after this time at the latest; of jobs that become due before, it wants to hear.
    package let interval: Duration

    package init(
        workerID: String, channel: String, queues: [String], jobTypes: [String]? = nil, lasting: Duration,
        interval: Duration = .zero
    ) {
        self.workerID = workerID
        self.channel = channel
        self.queues = queues
        self.jobTypes = jobTypes
        self.lasting = lasting
        self.interval = interval
    }

    var insertion: Fragment {
        let types: Fragment = if let jobTypes { "\(jobTypes)" } else { "NULL" }
        return """
            INSERT INTO jobworker.waiting_workers AS known (worker_id, channel, queues, job_types, until, looks_at)
            VALUES (\(workerID), \(channel), \(queues), \(types), clock_timestamp() + \(lasting), clock_timestamp() + \(interval))
            ON CONFLICT (worker_id) DO UPDATE
            SET channel = excluded.channel, queues = excluded.queues, job_types = excluded.job_types, until = excluded.until,
                looks_at = excluded.looks_at
            """
    }
}

extension JobStore {
    /// From the moment of the answer on, inserted jobs wake this worker; what was inserted just before may have not.
    package func attend(_ attention: Attention) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:attend */
            \(attention.insertion)
            """)
    }

    /// Wakes this worker no longer, as it looks by itself. Clears away what dead workers left behind.
    package func turnAway(workerID: String) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:turn_away */
            DELETE FROM jobworker.waiting_workers
            WHERE worker_id = \(workerID) OR until < clock_timestamp() - interval '1 hour'
            """)
    }

    /// Tells other workers that wait of due jobs which this one was told of and has no slot for, as many as there still are
    /// of them. After `turnAway`, so that it doesn't come back. Relies on `jobs_due`.
    package func passOn(_ announcements: [DueAnnouncement]) async throws(PostgresError) {
        let places = announcements.compactMap(\.place)
        guard !places.isEmpty else { return }
        try await pool.query(
            """
            /* jobworker:pass_on */
            WITH told AS (
                SELECT queue, priority, coalesce(min(due_at), '-infinity') AS due_at
                FROM unnest(\(places.map(\.queue)), \(places.map(\.priority)), \(NullableArray(places.map(\.due)))) AS given (queue, priority, due_at)
                GROUP BY queue, priority
            )
            SELECT jobworker.wake(told.queue, told.priority::int, min(waiting.due_at), count(*), waiting.job_type)
            FROM told CROSS JOIN LATERAL (
                SELECT jobs.job_type::text AS job_type,
                       greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
                FROM public.jobs
                WHERE jobs.status = 'pending' AND coalesce(jobs.job_queue, 'default') = told.queue
                  AND coalesce(jobs.priority, 0) = told.priority
                  AND greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) BETWEEN told.due_at AND now()
                \(JobStore.inOrder)
                LIMIT 100
            ) AS waiting
            GROUP BY told.queue, told.priority, waiting.job_type
            """)
    }
}
