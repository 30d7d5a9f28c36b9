extension Invariant {
    /// Schedules, workflows, limits, webhooks and alerts keep their promises whatever breaks.
    static let arrangements = schedules + workflows + limits + webhooks + alerts

    private static let schedules = [
        Invariant(
            name: "a tick of a schedule is one job",
            sql: """
                SELECT min(id::text)::uuid AS job, format('%s jobs for the tick of %s', count(*), scheduled_for) AS detail
                FROM public.jobs WHERE schedule_id IS NOT NULL
                GROUP BY schedule_id, scheduled_for HAVING count(*) > 1
                """,
            spoil: """
                DROP INDEX public.jobs_schedule_tick;
                INSERT INTO public.jobs (workspace_id, job_type, payload, schedule_id, scheduled_for, status)
                SELECT workspace_id, job_type, payload, schedule_id, scheduled_for, 'completed'
                FROM public.jobs WHERE schedule_id IS NOT NULL LIMIT 1
                """),
        Invariant(
            name: "a schedule that makes up for all its ticks misses none, and each is at its time",
            sql: """
                SELECT id AS job, format('%s follows %s', scheduled_for, earlier) AS detail
                FROM (SELECT jobs.id, scheduled_for, every_seconds,
                             lag(scheduled_for) OVER (ORDER BY scheduled_for) AS earlier
                      FROM public.jobs JOIN public.job_schedules AS schedule ON schedule.id = jobs.schedule_id
                      WHERE schedule.name = 'all ticks') AS ticks
                WHERE scheduled_for <> earlier + make_interval(secs => every_seconds)
                UNION ALL
                SELECT NULL, format('only %s ticks', count(*)) FROM public.jobs
                JOIN public.job_schedules AS schedule ON schedule.id = jobs.schedule_id
                WHERE schedule.name = 'all ticks' HAVING count(*) < 5
                """,
            spoil: """
                DELETE FROM public.jobs WHERE id = (
                    SELECT jobs.id FROM public.jobs JOIN public.job_schedules AS schedule ON schedule.id = schedule_id
                    WHERE schedule.name = 'all ticks' ORDER BY scheduled_for OFFSET 2 LIMIT 1)
                """),
        Invariant(
            name: "a schedule that skips has one job at a time",
            sql: """
                WITH spans AS (
                    SELECT a.job, min(a.seq) AS first,
                           min(a.seq) FILTER (WHERE a.status IN \(isFinal)) AS last
                    FROM chaos.audit AS a JOIN public.jobs ON jobs.id = a.job
                    JOIN public.job_schedules AS schedule ON schedule.id = jobs.schedule_id
                    WHERE schedule.name = 'one by one' GROUP BY a.job
                )
                SELECT b.job, format('made while %s had not ended', a.job) AS detail
                FROM spans AS a JOIN spans AS b ON b.first > a.first AND b.first < coalesce(a.last, 9e18)
                """,
            spoil: """
                DELETE FROM chaos.audit WHERE status IN \(isFinal) AND job = (
                    SELECT jobs.id FROM public.jobs JOIN public.job_schedules AS schedule ON schedule.id = schedule_id
                    WHERE schedule.name = 'one by one' ORDER BY scheduled_for LIMIT 1)
                """),
    ]

    private static let workflows = [
        Invariant(
            name: "no child starts before its parents have ended, and where it depends on success, succeeded",
            sql: """
                SELECT c.job, format('%s: claimed before %s had %s', c.at, d.depends_on_job_id,
                    CASE d.on_failure WHEN 'run' THEN 'ended' ELSE 'succeeded' END) AS detail
                FROM chaos.claims AS c JOIN public.job_dependencies AS d ON d.job_id = c.job
                WHERE NOT EXISTS (
                    SELECT FROM chaos.audit AS p
                    WHERE p.job = d.depends_on_job_id AND p.seq < c.seq
                      AND (p.status = 'completed' OR d.on_failure = 'run' AND p.status IN \(isFinal)))
                """,
            spoil: """
                DELETE FROM chaos.audit WHERE status IN \(isFinal) AND job = (
                    SELECT depends_on_job_id FROM public.job_dependencies JOIN chaos.claims ON job = job_id LIMIT 1)
                """),
        Invariant(
            name: "a child that got all results has those of its parents, as they are",
            sql: """
                SELECT c.id AS job, format('%s of %s: %s, it has %s', p.workflow_step, p.id, p.result ->> 'run',
                    c.result -> 'parents' -> p.workflow_step) AS detail
                FROM public.jobs AS c JOIN public.job_dependencies AS d ON d.job_id = c.id
                JOIN public.jobs AS p ON p.id = d.depends_on_job_id
                WHERE c.workflow_step = 'join' AND c.status = 'completed' AND p.status = 'completed'
                  AND p.completed_at < c.started_at
                  AND c.result -> 'parents' -> p.workflow_step ->> 'run' IS DISTINCT FROM p.result ->> 'run'
                """,
            spoil: """
                UPDATE public.jobs SET result = result - 'parents'
                WHERE workflow_step = 'join' AND status = 'completed'
                """),
        Invariant(
            name: "what depends on the success of a job that has none is cancelled",
            sql: """
                SELECT c.id AS job, format('%s, although %s is %s', c.status, p.id, p.status) AS detail
                FROM public.jobs AS c JOIN public.job_dependencies AS d ON d.job_id = c.id AND d.on_failure = 'cancel'
                JOIN public.jobs AS p ON p.id = d.depends_on_job_id
                WHERE p.status <> 'completed' AND c.status <> 'cancelled'
                """,
            spoil: """
                UPDATE public.jobs SET status = 'completed'
                WHERE workflow_step = 'join' AND status = 'cancelled'
                """),
        Invariant(
            name: "a workflow is there as a whole",
            sql: """
                SELECT NULL::uuid AS job, format('workflow %s has %s jobs', w.id, count(j.id)) AS detail
                FROM public.job_workflows AS w LEFT JOIN public.jobs AS j ON j.workflow_id = w.id
                GROUP BY w.id HAVING count(j.id) <> 4
                """,
            spoil: """
                DELETE FROM public.jobs WHERE id = (SELECT id FROM public.jobs WHERE workflow_step = 'left' LIMIT 1)
                """),
    ]

    /// Jobs of a type that run, or whose run hasn't ended, after each of its changes.
    private static let running = """
        SELECT a.job, a.seq, a.at, a.status, a.old_status, sum(
                   (a.status = 'processing' OR coalesce(a.lease_open, false))::int
                   - (coalesce(a.old_status = 'processing', false) OR coalesce(a.old_open, false))::int)
               OVER (ORDER BY a.seq) AS running
        FROM chaos.audit AS a JOIN public.jobs AS j ON j.id = a.job WHERE j.job_type = 'limited'
        """

    private static let limits = [
        Invariant(
            name: "a limit of running jobs holds over all workers",
            sql: """
                SELECT job, format('%s: %s run', at, running) AS detail FROM (\(running)) AS counted
                WHERE status = 'processing' AND old_status = 'pending' AND running > \(Arrangements.limitedMax)
                """,
            spoil: """
                DELETE FROM chaos.audit WHERE old_status = 'processing' AND job IN (
                    SELECT id FROM public.jobs WHERE job_type = 'limited')
                """),
        // A start is noted some time after its token was taken: a second is left for that.
        Invariant(
            name: "a rate of starts holds over all workers",
            sql: """
                WITH starts AS (
                    SELECT c.job, c.at, row_number() OVER (ORDER BY c.at, c.seq) AS number
                    FROM chaos.claims AS c JOIN public.jobs AS j ON j.id = c.job WHERE j.job_type = 'rated'
                )
                SELECT b.job, format('%s starts between %s and %s', b.number - a.number + 1, a.at, b.at) AS detail
                FROM starts AS a JOIN starts AS b ON b.number BETWEEN a.number AND a.number + 300
                WHERE b.number - a.number + 1 > \(Arrangements.burst)
                          + \(Arrangements.rate) * (extract(epoch FROM b.at - a.at) + 1)
                """,
            spoil: """
                UPDATE chaos.audit SET at = '2026-01-01' WHERE status = 'processing' AND job IN (
                    SELECT id FROM public.jobs WHERE job_type = 'rated')
                """),
        Invariant(
            name: "limits were reached",
            sql: """
                SELECT NULL::uuid AS job, 'no more than ' || coalesce(max(running), 0) || ' limited jobs ran at once' AS detail
                FROM (\(running)) AS counted HAVING coalesce(max(running), 0) < \(Arrangements.limitedMax)
                """,
            spoil: """
                DELETE FROM chaos.audit WHERE job IN (SELECT id FROM public.jobs WHERE job_type = 'limited')
                """),
    ]

    private static let webhooks = [
        Invariant(
            name: "each event has exactly one row, and no row is without its event",
            sql: """
                WITH happened AS (
                    SELECT job, 'job.' || status AS event, count(*) AS count FROM chaos.audit
                    WHERE status IN \(isFinal) AND old_status IS NOT NULL AND old_status <> status GROUP BY 1, 2
                    UNION ALL
                    SELECT job, 'job.retried', count(*) FROM chaos.audit
                    WHERE old_status = 'processing' AND status = 'pending' AND attempts >= old_attempts GROUP BY 1
                ), written AS (
                    SELECT job_id AS job, event, count(*) AS count FROM public.webhook_deliveries
                    WHERE event LIKE 'job.%' GROUP BY 1, 2
                )
                SELECT job, format('%s: %s happened, %s written', event, coalesce(h.count, 0), coalesce(w.count, 0)) AS detail
                FROM happened AS h FULL JOIN written AS w USING (job, event)
                WHERE h.count IS DISTINCT FROM w.count
                """,
            spoil: """
                INSERT INTO public.webhook_deliveries (endpoint_id, workspace_id, job_id, event)
                SELECT endpoint_id, workspace_id, job_id, event FROM public.webhook_deliveries LIMIT 1
                """),
        Invariant(
            name: "each event is told at least once",
            sql: """
                SELECT job_id AS job, format('%s %s is %s after %s tries, %s; the receiver has it %s times', event, id, status,
                    attempts, error, (SELECT count(*) FROM chaos.received AS r WHERE r.id = d.id::text)) AS detail
                FROM public.webhook_deliveries AS d
                WHERE status <> 'delivered' OR NOT EXISTS (SELECT FROM chaos.received AS r WHERE r.id = d.id::text)
                """,
            spoil: """
                DELETE FROM chaos.received WHERE id = (SELECT min(id) FROM chaos.received)
                """),
        Invariant(
            name: "nothing is told that didn't happen",
            sql: """
                SELECT NULL::uuid AS job, r.id AS detail FROM chaos.received AS r
                WHERE NOT EXISTS (SELECT FROM public.webhook_deliveries AS d WHERE d.id::text = r.id)
                """,
            spoil: """
                INSERT INTO chaos.received VALUES ('nothing')
                """),
    ]

    private static let alerts = [
        Invariant(
            name: "an alert is open once at a time",
            sql: """
                SELECT NULL::uuid AS job, format('%s %s is open twice at %s', a.rule, a.subject, b.since) AS detail
                FROM public.job_alerts AS a JOIN public.job_alerts AS b
                    ON a.rule = b.rule AND a.subject = b.subject AND a.id <> b.id
                   AND b.since >= a.since AND b.since < coalesce(a.ended_at, 'infinity')
                """,
            spoil: """
                INSERT INTO public.job_alerts (rule, subject, message, value, threshold, raised_by, resolved_by, since, ended_at)
                SELECT 'stalled', 'x', 'x', 1, 1, 'x', CASE n WHEN 1 THEN 'x' END, now() - n * interval '1 s',
                       CASE n WHEN 1 THEN now() END FROM generate_series(1, 2) AS n
                """)
    ]
}
