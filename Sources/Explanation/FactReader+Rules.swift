import FoundationEssentials
import JobWorker
import Postgres

extension FactReader {
    /// Rules of its queue beside the cap, who holds the cap, and the limits that hold the job back now.
    /// Relies on `jobs_processing`.
    func readRules(_ facts: inout JobFacts, _ connection: isolated Connection) throws {
        let queues = try connection.execute(
            """
            /* jobworker:why.rules */
            SELECT extract(epoch FROM ageing)::float8 AS ageing, fair,
                   (SELECT count(DISTINCT workspace_id) FROM (
                       SELECT workspace_id FROM public.jobs
                       WHERE status = 'pending' AND coalesce(job_queue, 'default') = \(facts.queue) LIMIT 1000) AS seen
                   ) AS sharers,
                   (SELECT string_agg(id::text, ' ') FROM (
                       SELECT id FROM public.jobs
                       WHERE (status = 'processing' OR lease_open) AND coalesce(job_queue, 'default') = \(facts.queue)
                       ORDER BY started_at LIMIT 5) AS running) AS holders
            FROM public.job_queues WHERE name = \(facts.queue)
            """)
        if let queue = queues.first {
            let ageing = try queue.decodeIfPresent("ageing", as: Double.self).map { Duration.seconds($0) }
            facts.rules = JobFacts.Rules(
                ageing: ageing, sharers: try queue.decode("fair") ? try queue.decode("sharers") : nil)
            let holders: String = try queue.decodeIfPresent("holders") ?? ""
            facts.limit?.holders = holders.split(separator: " ").map(String.init)
        }
        let limits = try connection.execute(
            """
            /* jobworker:why.limits */
            SELECT name, max_running, running, rate, extract(epoch FROM period)::float8 AS period,
                   CASE WHEN tokens < 1 THEN clock_timestamp() + make_interval(secs => (1 - tokens) / per_second) END AS next_at
            FROM (
                SELECT job_limits.*, job_limits.rate / extract(epoch FROM period)::float8 AS per_second,
                       (SELECT count(*) FROM public.jobs
                        WHERE (jobs.status = 'processing' OR jobs.lease_open)
                          AND coalesce(job_limits.job_type = jobs.job_type, true)
                          AND (job_limits.workspace_id IS NULL AND NOT each_workspace
                               OR jobs.workspace_id = \(facts.workspaceID))) AS running,
                       spent.tokens + extract(epoch FROM clock_timestamp() - spent.counted_at)::float8
                           * job_limits.rate / extract(epoch FROM period)::float8 AS tokens
                FROM public.job_limits LEFT JOIN jobworker.limit_tokens AS spent
                  ON spent.limit_name = name
                 AND spent.workspace_id = CASE WHEN each_workspace THEN \(facts.workspaceID)
                                               ELSE '00000000-0000-0000-0000-000000000000' END
                WHERE coalesce(job_type = \(facts.type), true)
                  AND coalesce(job_limits.workspace_id = \(facts.workspaceID), true)
            ) AS fitting
            WHERE running >= max_running OR tokens < 1
            ORDER BY name
            """)
        for row in limits {
            let (most, running) = (
                try row.decodeIfPresent("max_running", as: Int.self), try row.decode("running", as: Int.self)
            )
            facts.exhausted.append(
                JobFacts.ExhaustedLimit(
                    name: try row.decode("name"), most: most.flatMap { $0 <= running ? $0 : nil },
                    nextAt: try row.decodeIfPresent("next_at")))
        }
    }
}
