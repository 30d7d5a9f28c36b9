extension Invariant {
    /// Nothing begins too early.
    static let times = [
        Invariant(
            name: "no claim before the job is due",
            sql: """
                SELECT c.job, format('claimed at %s, due at %s', c.at, c.old_due) AS detail FROM chaos.claims AS c
                WHERE c.began < c.old_due
                """),
        Invariant(
            name: "a failed attempt waits as its number says",
            sql: """
                SELECT a.job, format('%s: attempt %s waits until %s', a.at, a.attempts, a.next_retry) AS detail
                FROM chaos.audit AS a
                WHERE a.old_status = 'processing' AND a.status = 'pending' AND a.attempts = a.old_attempts
                  AND (a.next_retry IS NULL
                       OR a.next_retry < a.began + make_interval(secs => \(delay("a.attempts")) - 0.001)
                       OR a.next_retry > a.at + make_interval(secs => \(delay("a.attempts")) * 1.1 + 0.05))
                """),
        Invariant(
            name: "no run begins before the delay after the failure before it",
            sql: """
                SELECT e.job, format('%s at %s as attempt %s, the next began at %s', e.how, e.ended, e.attempt, n.started) AS detail
                FROM chaos.executions AS e
                CROSS JOIN LATERAL (
                    SELECT b.started, b.attempt FROM chaos.executions AS b
                    WHERE b.job = e.job AND b.claimed > e.claimed ORDER BY b.claimed LIMIT 1) AS n
                WHERE e.how IN ('failed', 'snoozed')
                  AND n.started < e.ended + make_interval(secs =>
                      CASE e.how WHEN 'snoozed' THEN 1 ELSE \(delay("e.attempt")) END)
                  AND NOT EXISTS (SELECT FROM chaos.audit AS m WHERE m.job = e.job AND m.who = '\(ChaosDatabase.client)'
                                  AND m.at BETWEEN e.claimed AND n.started)
                  -- Lost and taken back before it failed: it then waited from that time on.
                  AND NOT EXISTS (SELECT FROM chaos.audit AS t WHERE t.job = e.job AND t.deaths > t.old_deaths
                                  AND t.old_started = e.claimed)
                """),
        Invariant(
            name: "what is snoozed or given back keeps its attempt",
            sql: """
                SELECT a.job, format('%s: attempts %s -> %s', a.at, a.old_attempts, a.attempts) AS detail
                FROM chaos.audit AS a
                WHERE a.old_status = 'processing' AND a.status = 'pending'
                  AND a.attempts NOT IN (a.old_attempts, a.old_attempts - 1)
                """),
        Invariant(
            name: "no time is ahead of the server's clock",
            sql: """
                SELECT id AS job, format('created %s, started %s, completed %s, failed %s, beat %s', created_at, started_at,
                    completed_at, failed_at, worker_heartbeat_at) AS detail
                FROM public.jobs
                WHERE greatest(created_at, started_at, completed_at, failed_at, worker_heartbeat_at) > clock_timestamp()
                """),
    ]
}
