package import Postgres

/// What `job_workers` tells of a live process.
package struct WorkerPresence: Sendable {
    package var id: String
    package var instance: String
    package var host: String
    package var machineID: String
    package var pid: Int
    package var version: String
    package var queues: [String]
    package var jobTypes: [String]
    /// Those of them that are refused to members of workspaces.
    package var operatorTypes: [String]
    package var maxConcurrent: Int
    package var running: Int

    package init(
        id: String, instance: String, host: String, machineID: String, pid: Int, version: String,
        queues: [String], jobTypes: [String], operatorTypes: [String] = [], maxConcurrent: Int, running: Int = 0
    ) {
        self.id = id
        self.instance = instance
        self.host = host
        self.machineID = machineID
        self.pid = pid
        self.version = version
        self.queues = queues
        self.jobTypes = jobTypes
        self.operatorTypes = operatorTypes
        self.maxConcurrent = maxConcurrent
        self.running = running
    }

    /// The table `presence` of the poll.
    var beating: Fragment {
        """
        presence AS (
            \(insertion)
            ON CONFLICT (id) DO UPDATE
            SET seen_at = excluded.seen_at, running = excluded.running, queues = excluded.queues,
                job_types = excluded.job_types, operator_types = excluded.operator_types,
                max_concurrent = excluded.max_concurrent, stopped_at = NULL
        )
        """
    }

    var insertion: Fragment {
        """
        INSERT INTO public.job_workers
            (id, instance, host, machine_id, pid, version, queues, job_types, operator_types, max_concurrent, running,
             started_at, seen_at)
        VALUES (\(id), \(instance), \(host), \(machineID), \(pid), \(version), \(queues), \(jobTypes), \(operatorTypes),
                \(maxConcurrent), \(running), clock_timestamp(), clock_timestamp())
        """
    }
}

extension JobStore {
    /// Says that this worker is there, from now on; a predecessor's row of the same name is taken over.
    package func register(_ presence: WorkerPresence) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:register */
            \(presence.insertion)
            ON CONFLICT (id) DO UPDATE
            SET instance = excluded.instance, host = excluded.host, machine_id = excluded.machine_id,
                pid = excluded.pid, version = excluded.version, queues = excluded.queues,
                job_types = excluded.job_types, operator_types = excluded.operator_types,
                max_concurrent = excluded.max_concurrent, running = excluded.running,
                started_at = excluded.started_at, seen_at = excluded.seen_at, stopped_at = NULL
            """)
    }

    /// Says that this worker has stopped, and clears away rows of workers gone for a day.
    package func leave(workerID: String) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:leave */
            WITH gone AS (
                DELETE FROM public.job_workers
                WHERE seen_at < clock_timestamp() - interval '1 day' AND id <> \(workerID)
                  AND NOT EXISTS (SELECT FROM public.jobs
                                  WHERE jobs.worker_id = job_workers.id AND jobs.status = 'processing')
            ),
            deaf AS (DELETE FROM jobworker.waiting_workers WHERE worker_id = \(workerID))
            UPDATE public.job_workers SET stopped_at = clock_timestamp(), running = 0 WHERE id = \(workerID)
            """)
    }
}
