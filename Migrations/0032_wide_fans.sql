-- 0032: a job whose end lets thousands of others go does so in proportion to their number, always.
-- Locks:   none.
-- Rollout: any order.
-- Growth:  none.
-- Cost:    ten thousand children of one parent took 0.6 s or 25 s, by whether the session had settled a few children five
--          times before: from then on PostgreSQL may use a plan that doesn't know how many there are. Now a plan is made for
--          them where they are more than fifty (`Benchmarks/workflows --forms fan`).

-- As in 0019, but for the plans.
CREATE OR REPLACE FUNCTION jobworker.settle_noted(may_wait boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended_children uuid[];
    ended_counts int[];
    culprits uuid[];
    culprit_ends text[];
    revived uuid[];
    again uuid[];           -- those below that follow
    children uuid[];
    locked uuid[];
    found_any boolean;
    before_plans constant text := current_setting('plan_cache_mode');
BEGIN
    WITH RECURSIVE taken AS (
        DELETE FROM jobworker.dependency_notes
        WHERE xact = pg_current_xact_id() AND outcome <> 'settling'
        RETURNING parent, child, outcome, on_failure
    ), ended AS (
        SELECT d.job_id AS child, t.parent, d.on_failure, p.status AS ending
        FROM taken AS t
        JOIN public.jobs AS p ON p.id = t.parent
        JOIN public.job_dependencies AS d ON d.depends_on_job_id = t.parent
        WHERE t.outcome = 'ended' AND t.child IS NULL
        UNION ALL
        -- A dependency that was met already when it was made.
        SELECT t.child, t.parent, t.on_failure, CASE t.outcome WHEN 'deleted' THEN t.outcome ELSE p.status END
        FROM taken AS t LEFT JOIN public.jobs AS p ON p.id = t.parent AND t.outcome = 'ended'
        WHERE t.child IS NOT NULL
    ), by_child AS (
        SELECT child, count(*)::int AS parents,
               min(parent::text) FILTER (WHERE on_failure = 'cancel' AND ending <> 'completed') AS culprit,
               min(ending) FILTER (WHERE on_failure = 'cancel' AND ending <> 'completed') AS ending
        FROM ended GROUP BY child
    ), doomed (job) AS (
        -- All the way down at once.
        SELECT b.child FROM by_child AS b WHERE b.culprit IS NOT NULL
        UNION
        SELECT d.job_id FROM doomed CROSS JOIN LATERAL (
            -- From job to job by the index, whatever the planner thinks of their number.
            SELECT d.job_id FROM public.job_dependencies AS d
            WHERE d.depends_on_job_id = doomed.job AND d.on_failure = 'cancel'
              AND (SELECT j.status FROM public.jobs AS j WHERE j.id = d.job_id) = 'blocked'
            OFFSET 0) AS d
    ), deeper AS (
        SELECT d.job_id AS child, min(d.depends_on_job_id::text) AS culprit
        FROM doomed CROSS JOIN LATERAL (
            SELECT d.job_id, d.depends_on_job_id FROM public.job_dependencies AS d
            WHERE d.depends_on_job_id = doomed.job AND d.on_failure = 'cancel'
              AND (SELECT j.status FROM public.jobs AS j WHERE j.id = d.job_id) = 'blocked'
            OFFSET 0) AS d
        GROUP BY d.job_id
    ), told AS (
        SELECT child, coalesce(b.parents, 0) AS parents, coalesce(b.culprit, deeper.culprit) AS culprit,
               coalesce(b.ending, 'cancelled') AS ending
        FROM by_child AS b FULL JOIN deeper USING (child)
    )
    SELECT (SELECT array_agg(child ORDER BY child) FROM told),
           (SELECT array_agg(parents ORDER BY child) FROM told),
           (SELECT array_agg(culprit::uuid ORDER BY child) FROM told),
           (SELECT array_agg(ending ORDER BY child) FROM told),
           (SELECT array_agg(parent) FROM taken WHERE outcome = 'revived'),
           EXISTS (SELECT FROM taken)
    INTO ended_children, ended_counts, culprits, culprit_ends, revived, found_any;

    IF ended_children IS NOT NULL THEN
        -- A plan made for a few compares each child with each.
        IF cardinality(ended_children) > 50 THEN
            PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
        END IF;
        locked := jobworker.lock_children(ended_children, ARRAY['blocked'], may_wait);
        WITH given AS (
            SELECT g.child, g.parents, g.culprit,
                   CASE WHEN g.culprit IS NOT NULL THEN
                       format('Cancelled because job %s, which it waits for, %s', g.culprit,
                              CASE g.ending WHEN 'cancelled' THEN 'was cancelled' WHEN 'deleted' THEN 'was deleted'
                                            ELSE 'failed' END) END AS reason
            FROM unnest(ended_children, ended_counts, culprits, culprit_ends) AS g (child, parents, culprit, ending)
        ), told AS (
            UPDATE public.jobs AS j
            SET blockers = greatest(j.blockers - given.parents, 0), cancelled_for = given.culprit,
                status = CASE WHEN given.culprit IS NOT NULL THEN 'cancelled'
                              -- What the backlog says isn't counted yet.
                              WHEN j.blockers <= given.parents
                                   AND NOT EXISTS (SELECT FROM jobworker.dependency_backlog AS b WHERE b.child = j.id)
                              THEN 'pending' ELSE 'blocked' END,
                completed_at = CASE WHEN given.culprit IS NOT NULL THEN clock_timestamp() END,
                error_message = given.reason,
                -- It becomes due now, not when it was added.
                scheduled_for = CASE WHEN given.culprit IS NULL AND j.blockers <= given.parents
                                     THEN greatest(j.scheduled_for, clock_timestamp()) ELSE j.scheduled_for END
            FROM given
            WHERE j.id = given.child AND j.id = ANY (locked) AND j.status = 'blocked'
            RETURNING j.id, given.culprit, given.reason
        )
        INSERT INTO public.job_logs (job_id, log_level, message, metadata)
        SELECT id, 'info', reason, jsonb_build_object('parent', culprit) FROM told WHERE culprit IS NOT NULL;
        PERFORM set_config('plan_cache_mode', before_plans, true);
    END IF;

    IF revived IS NOT NULL THEN
        -- By hand and seldom; a plan made for a few would take forever for thousands.
        PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
        -- All the way down at once, where nothing else keeps one of them cancelled; else one level after another.
        WITH RECURSIVE below (job) AS (
            SELECT d.job_id FROM public.job_dependencies AS d JOIN public.jobs AS j ON j.id = d.job_id
            WHERE d.depends_on_job_id = ANY (revived) AND j.status = 'cancelled' AND j.cancelled_for = ANY (revived)
            UNION
            SELECT d.job_id FROM below CROSS JOIN LATERAL (
                SELECT d.job_id FROM public.job_dependencies AS d
                WHERE d.depends_on_job_id = below.job
                  AND (SELECT j.status = 'cancelled' AND j.cancelled_for = below.job
                       FROM public.jobs AS j WHERE j.id = d.job_id)
                OFFSET 0) AS d
        )
        SELECT array_agg(job) INTO again FROM below;
        IF EXISTS (SELECT FROM unnest(again) AS a (id)
                   WHERE (SELECT j.unique_key IS NOT NULL FROM public.jobs AS j WHERE j.id = a.id))
           OR EXISTS (
               SELECT d.parent FROM unnest(again) AS a (id) CROSS JOIN LATERAL (
                   SELECT d.depends_on_job_id AS parent FROM public.job_dependencies AS d
                   WHERE d.job_id = a.id AND d.on_failure = 'cancel'
                     AND (SELECT p.status IN ('failed', 'dead_letter', 'cancelled')
                          FROM public.jobs AS p WHERE p.id = d.depends_on_job_id)
                   OFFSET 0) AS d
               EXCEPT SELECT unnest(again)) THEN
            again := NULL;
        END IF;
        children := ARRAY(SELECT DISTINCT d.job_id FROM public.job_dependencies AS d
                          WHERE d.depends_on_job_id = ANY (revived || coalesce(again, '{}')));
        locked := jobworker.lock_children(children, ARRAY['blocked', 'cancelled'], may_wait);
        IF EXISTS (SELECT unnest(again) EXCEPT SELECT unnest(locked)) THEN
            again := NULL;
        END IF;
        UPDATE public.jobs AS j SET blockers = j.blockers + counted.parents
        FROM (SELECT d.job_id, count(*)::int AS parents FROM public.job_dependencies AS d
              WHERE d.depends_on_job_id = ANY (revived || coalesce(again, '{}')) GROUP BY d.job_id) AS counted
        WHERE j.id = counted.job_id AND j.id = ANY (locked) AND j.status = 'blocked';
        PERFORM jobworker.judge_children(coalesce(again, ARRAY(
            SELECT j.id FROM public.jobs AS j
            WHERE j.id = ANY (locked) AND j.status = 'cancelled' AND j.cancelled_for = ANY (revived))), again);
        -- What these mean for their children is done.
        DELETE FROM jobworker.dependency_notes WHERE xact = pg_current_xact_id() AND parent = ANY (again);
        PERFORM set_config('plan_cache_mode', before_plans, true);
    END IF;
    RETURN found_any;
END
$$;
