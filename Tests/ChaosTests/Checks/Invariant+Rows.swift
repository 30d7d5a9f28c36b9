extension Invariant {
    /// Columns and rows that belong together are together.
    static let rows = [
        Invariant(
            name: "columns fit the state",
            sql: """
                SELECT id AS job, format('%s, completed_at %s, failed_at %s, next_retry_at %s', status, completed_at, failed_at,
                    next_retry_at) AS detail
                FROM public.jobs
                WHERE status = 'completed' AND (completed_at IS NULL OR result IS NULL OR error_message IS NOT NULL
                                                OR failed_at IS NOT NULL OR completed_at < started_at)
                   OR status = 'failed' AND (failed_at IS NULL OR error_message IS NULL)
                   OR status = 'cancelled' AND completed_at IS NULL
                   OR status IN \(isFinal) AND next_retry_at IS NOT NULL
                """),
        Invariant(
            name: "at most one active job for each unique key, at any time",
            sql: """
                WITH spans AS (
                    SELECT job, unique_key, seq, status IN ('pending', 'blocked', 'processing') AS is_active,
                           lead(seq) OVER (PARTITION BY job ORDER BY seq) AS next
                    FROM chaos.audit WHERE unique_key IS NOT NULL
                ), keyed AS (
                    SELECT spans.*, j.job_type FROM spans JOIN public.jobs AS j ON j.id = spans.job
                )
                -- The table's index orders the changes of one key: an earlier holder has ended first.
                SELECT b.job, format('%s is active beside %s', b.unique_key, a.job) AS detail
                FROM keyed AS a JOIN keyed AS b ON a.unique_key = b.unique_key AND a.job_type = b.job_type AND a.job <> b.job
                WHERE a.is_active AND b.is_active AND a.next IS NULL AND b.next IS NULL
                """),
        Invariant(
            name: "each completion has its log row, in the same transaction",
            sql: """
                SELECT a.job, format('%s completions, %s log rows', count(*), (
                    SELECT count(*) FROM public.job_logs AS l WHERE l.job_id = a.job AND l.message LIKE 'Completed in%'))
                    AS detail
                FROM chaos.audit AS a WHERE a.status = 'completed' AND a.old_status = 'processing'
                GROUP BY a.job
                HAVING count(*) <> (
                    SELECT count(*) FROM public.job_logs AS l WHERE l.job_id = a.job AND l.message LIKE 'Completed in%')
                """),
        Invariant(
            name: "each claim and each end has its log row",
            sql: """
                WITH changes AS (
                    SELECT job, count(*) FILTER (WHERE status = 'processing' AND old_status = 'pending') AS claims,
                           count(*) FILTER (WHERE old_status = 'processing' AND status IN ('pending', 'failed')) AS ends
                    FROM chaos.audit GROUP BY job
                ), logged AS (
                    SELECT job_id, count(*) FILTER (WHERE message LIKE 'Attempt % of % started') AS claims,
                           count(*) FILTER (WHERE message LIKE 'Attempt % failed, will be tried%'
                               OR message LIKE 'Failed on attempt%' OR message LIKE 'Waiting % s: %'
                               OR message LIKE 'Given back by%' OR message LIKE 'The worker that ran%') AS ends
                    FROM public.job_logs GROUP BY job_id
                )
                SELECT job, format('%s claims and %s ends, %s and %s in the log', c.claims, c.ends, l.claims, l.ends) AS detail
                FROM changes AS c LEFT JOIN logged AS l ON l.job_id = c.job
                WHERE (c.claims, c.ends) IS DISTINCT FROM (coalesce(l.claims, 0), coalesce(l.ends, 0))
                """),
        Invariant(
            name: "every log row has its job",
            sql: """
                SELECT l.job_id AS job, l.message AS detail FROM public.job_logs AS l
                WHERE NOT EXISTS (SELECT FROM public.jobs WHERE jobs.id = l.job_id)
                """),
    ]
}
