extension Invariant {
    /// Nothing is lost, and what the table says of an end is what the handlers say.
    static let outcomes = [
        Invariant(
            name: "every acknowledged job exists",
            sql: """
                SELECT a.job, 'acknowledged, but not there' AS detail FROM chaos.acknowledged AS a
                WHERE NOT EXISTS (SELECT FROM public.jobs WHERE jobs.id = a.job)
                """),
        Invariant(
            name: "no job of a transaction that was given up exists",
            sql: """
                SELECT r.job, 'rolled back, but there' AS detail FROM chaos.rolled_back AS r
                JOIN public.jobs ON jobs.id = r.job
                """),
        Invariant(
            name: "once quiet, every job is in a final state",
            sql: """
                SELECT id AS job, format('still %s, attempts %s of %s, due %s', status, attempts, max_attempts,
                    greatest(created_at, scheduled_for, next_retry_at)) AS detail
                FROM public.jobs WHERE status IS NULL OR status NOT IN \(isFinal)
                """),
        Invariant(
            name: "once quiet, no lease is open",
            sql: "SELECT id AS job, format('%s, its lease is open', status) AS detail FROM public.jobs WHERE lease_open"
        ),
        Invariant(
            name: "completed means: the run of the last claim said done, with this result",
            sql: """
                SELECT j.id AS job, format('result of run %s; of the last claim: %s', j.result ->> 'run',
                    (SELECT string_agg(e.run || ' ' || coalesce(e.how, 'no end'), ', ')
                     FROM chaos.executions AS e WHERE e.job = j.id AND e.claimed = j.started_at)) AS detail
                FROM public.jobs AS j
                WHERE j.status = 'completed' AND NOT EXISTS (
                    SELECT FROM chaos.executions AS e
                    WHERE e.job = j.id AND e.claimed = j.started_at AND e.how = 'done' AND e.run = j.result ->> 'run')
                """),
        Invariant(
            name: "failed means: attempts used up, a final error, or three deaths",
            sql: """
                SELECT j.id AS job, format('failed at attempt %s of %s: %s', j.attempts, j.max_attempts, j.error_message) AS detail
                FROM public.jobs AS j
                WHERE j.status = 'failed' AND j.attempts < j.max_attempts AND j.worker_deaths < 3
                  AND j.job_type <> 'doomed'
                """),
        Invariant(
            name: "a doomed job never completes, and one that can't fail doesn't without a death or time-out",
            sql: """
                SELECT j.id AS job, format('%s, %s', j.status, j.error_message) AS detail FROM public.jobs AS j
                WHERE j.job_type = 'doomed' AND j.status = 'completed'
                   OR j.job_type IN ('short', 'long', 'big') AND j.status = 'failed'
                      AND j.error_message NOT LIKE 'The worker that ran%'
                """),
        Invariant(
            name: "a final state is left by hand alone, and 'completed' never",
            sql: """
                SELECT job, format('%s: %s -> %s by %s', at, old_status, status, who) AS detail FROM chaos.audit
                WHERE old_status IN \(isFinal) AND status IS DISTINCT FROM old_status
                  AND NOT (who = '\(ChaosDatabase.client)' AND status IN ('pending', 'blocked') AND old_status <> 'completed')
                """),
        Invariant(
            name: "only the transitions of the model happen",
            sql: """
                SELECT job, format('%s: %s -> %s by %s', at, old_status, status, who) AS detail FROM chaos.audit
                WHERE old_status IS DISTINCT FROM status AND (coalesce(old_status, 'none'), coalesce(status, 'none')) NOT IN (
                    ('none', 'pending'), ('pending', 'processing'), ('pending', 'cancelled'),
                    ('processing', 'completed'), ('processing', 'failed'), ('processing', 'pending'),
                    ('processing', 'cancelled'), ('failed', 'pending'), ('cancelled', 'pending'),
                    ('none', 'blocked'), ('blocked', 'pending'), ('blocked', 'cancelled'), ('cancelled', 'blocked'))
                """),
        Invariant(
            name: "a worker ends only when it is told to",
            sql: "SELECT NULL::uuid AS job, kind AS detail FROM chaos.faults WHERE worker = 'unexplained'"),
    ]
}
