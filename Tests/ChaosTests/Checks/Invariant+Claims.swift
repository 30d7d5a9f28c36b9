extension Invariant {
    /// A job has one owner at a time, and no run that isn't counted.
    static let claims = [
        Invariant(
            name: "a claim adds exactly one attempt and takes a new token",
            sql: """
                SELECT c.job, format('%s: attempts %s -> %s, token %s -> %s', c.at, c.old_attempts, c.attempts,
                    c.old_token, c.token) AS detail
                FROM chaos.claims AS c
                WHERE c.attempts IS DISTINCT FROM c.old_attempts + 1 OR c.token IS NULL OR NOT c.lease_open
                   OR c.old_status IS DISTINCT FROM 'pending'
                   OR EXISTS (SELECT FROM chaos.claims AS e WHERE e.token = c.token AND e.seq <> c.seq)
                """),
        Invariant(
            name: "the owner never changes inside an attempt",
            sql: """
                SELECT job, format('%s: %s/%s -> %s/%s in %s -> %s by %s', at, old_worker, old_token, worker, token,
                    old_status, status, who) AS detail
                FROM chaos.audit
                WHERE old_status IS NOT NULL AND status IS NOT NULL
                  AND (old_token, old_worker) IS DISTINCT FROM (token, worker)
                  AND NOT (old_status = 'pending' AND status = 'processing')
                  AND NOT (who = '\(ChaosDatabase.client)' AND token IS NULL AND status IN ('pending', 'blocked'))
                """),
        Invariant(
            name: "attempts never exceed their maximum",
            sql: """
                SELECT job, format('%s: %s of %s', at, attempts, max_attempts) AS detail FROM chaos.audit
                WHERE attempts > max_attempts OR attempts < 0
                """),
        Invariant(
            name: "every execution has its claim, and no claim is executed twice",
            sql: """
                SELECT e.job, format('%s executions of the claim of %s by %s', count(*), e.claimed, min(e.worker)) AS detail
                FROM chaos.executions AS e
                LEFT JOIN chaos.claims AS c ON c.job = e.job AND c.started = e.claimed AND c.worker = e.worker
                    AND c.attempts = e.attempt
                GROUP BY e.job, e.claimed HAVING count(*) > 1 OR count(c.seq) <> count(*)
                """),
        Invariant(
            name: "executions are at most the attempts counted and those given back",
            sql: """
                WITH counted AS (
                    SELECT a.job, count(*) FILTER (WHERE a.old_status = 'processing' AND a.attempts = a.old_attempts - 1) AS back,
                           coalesce(sum(a.old_attempts) FILTER (
                               WHERE a.old_status IN \(isFinal) AND a.status IN ('pending', 'blocked')), 0) AS reset
                    FROM chaos.audit AS a GROUP BY a.job
                ), ran AS (SELECT job, count(*) AS runs FROM chaos.executions GROUP BY job)
                SELECT j.id AS job, format('%s executions, %s attempts, %s given back, %s reset by hand', runs, attempts,
                    back, reset) AS detail
                FROM public.jobs AS j JOIN counted ON counted.job = j.id JOIN ran ON ran.job = j.id
                WHERE runs > attempts + back + reset
                """),
        Invariant(
            name: "no two live executions of a job overlap (but for frozen workers and deaf processors)",
            sql: """
                SELECT job, format('%s by %s seen until %s, %s by %s began %s, %s s earlier', first_run, first_worker,
                    first_until, run, worker, started, extract(epoch FROM first_until - started)) AS detail
                FROM (\(overlaps)) AS overlap WHERE NOT is_frozen AND NOT is_deaf
                """),
        Invariant(
            name: "what a worker stores of a run comes after the run's end",
            sql: """
                SELECT a.job, format('%s: %s by %s, run %s seen until %s', a.at, a.status, a.old_worker, e.run,
                    coalesce(e.ended, e.last_seen)) AS detail
                FROM chaos.audit AS a
                JOIN chaos.executions AS e ON e.job = a.job AND e.claimed = a.old_started AND e.worker = a.old_worker
                WHERE a.old_status = 'processing' AND a.status IN ('pending', 'completed', 'failed')
                  AND a.deaths <= a.old_deaths AND coalesce(e.ended, e.last_seen) > a.at
                """),
        Invariant(
            name: "a job is taken back only from a worker that fell silent, or died",
            sql: """
                SELECT a.job, format('%s: taken from %s, last heard of at %s', a.at, a.old_worker, a.old_heartbeat) AS detail
                FROM chaos.audit AS a
                WHERE a.old_status = 'processing' AND a.deaths > a.old_deaths
                  AND a.old_heartbeat > a.at - make_interval(secs => \(Course.stale))
                  AND NOT EXISTS (
                      SELECT FROM chaos.faults AS f
                      WHERE f.worker = a.old_worker AND f.kind IN ('kill', 'killAndPause', 'drain') AND f.began <= a.at)
                """),
        Invariant(
            name: "no claim while an earlier run holds the lease",
            sql: """
                SELECT c.job, format('%s: open lease, last heard of at %s', c.at, c.old_heartbeat) AS detail
                FROM chaos.claims AS c
                WHERE c.old_open AND c.old_heartbeat > c.began - make_interval(secs => \(Course.stale))
                """),
        Invariant(
            name: "a claim that nobody runs is taken back",
            sql: """
                SELECT c.job, format('claimed by %s at %s, never run, held until %s', c.worker, c.at, n.at) AS detail
                FROM chaos.claims AS c
                LEFT JOIN LATERAL (
                    SELECT a.at FROM chaos.audit AS a WHERE a.job = c.job AND a.seq > c.seq ORDER BY a.seq LIMIT 1) AS n ON true
                WHERE NOT EXISTS (SELECT FROM chaos.executions AS e WHERE e.job = c.job AND e.claimed = c.started)
                  AND coalesce(n.at, clock_timestamp()) > c.at + interval '\(Int(Course.stale) * 5) seconds'
                """),
    ]

    /// A run seen alive after the next one of its job had begun, and what may excuse it.
    static let overlaps = """
        SELECT b.job, a.run AS first_run, a.worker AS first_worker, coalesce(a.ended, a.last_seen) AS first_until,
               b.run, b.worker, b.started,
               EXISTS (SELECT FROM chaos.faults AS f WHERE f.worker = a.worker AND f.kind LIKE 'freeze%'
                       AND f.began <= b.started AND f.ended >= a.started) AS is_frozen,
               -- Only the network keeps a lease from being confirmed; in a drain it is waited for.
               j.job_type = 'deaf' AND EXISTS (SELECT FROM chaos.audit AS t WHERE t.job = a.job AND t.deaths > t.old_deaths
                                               AND t.old_started = a.claimed) AS is_deaf
        FROM chaos.executions AS a
        JOIN chaos.executions AS b ON b.job = a.job AND b.claimed > a.claimed AND b.started < coalesce(a.ended, a.last_seen)
        JOIN public.jobs AS j ON j.id = a.job
        """
}
