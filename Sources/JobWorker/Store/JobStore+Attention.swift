package import Postgres

/// How a worker that waits wants to be woken.
package struct Attention: Sendable {
    package let workerID: String
    /// Its own, on which it listens.
    package let channel: String
    /// `*` for all.
    package let queues: [String]
    /// Without a sign of the worker it is not woken any more after this time.
    package let lasting: Duration
    /// It looks by itself after this time at the latest; of jobs that become due before, it wants to hear.
    package let interval: Duration

    package init(
        workerID: String, channel: String, queues: [String], lasting: Duration, interval: Duration = .zero
    ) {
        self.workerID = workerID
        self.channel = channel
        self.queues = queues
        self.lasting = lasting
        self.interval = interval
    }

    var insertion: Fragment {
        """
        INSERT INTO jobworker.waiting_workers AS known (worker_id, channel, queues, until, looks_at)
        VALUES (\(workerID), \(channel), \(queues), clock_timestamp() + \(lasting), clock_timestamp() + \(interval))
        ON CONFLICT (worker_id) DO UPDATE
        SET channel = excluded.channel, queues = excluded.queues, until = excluded.until, looks_at = excluded.looks_at
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
}
