-- 0027: lists are as fast for what is rare or not there at all.
-- Locks:   jobs against writes while the indexes are built: some four seconds per million rows. Who can't wait that long
--          makes them beforehand, under the same names and as they stand here, with CREATE INDEX CONCURRENTLY.
-- Rollout: with the workers of this version. Lists of earlier ones take seconds per million rows.
-- Growth:  an entry per job in each, 70 to 80 bytes.
-- Cost:    three in a hundred (insert to completion, means of three rounds: 8 600 jobs a second before, 8 340 after; 240
--          bytes of log for each job more): a job enters jobs_by_state twice and jobs_by_kind once, where it entered
--          jobs_newest three times. That is what the conditions are for. With waiting jobs in jobs_by_kind too it was 9 %,
--          with the kind also in jobs_workspace_newest 8 %, with another index for worker_id 4 % more.
--
-- jobs_newest gave the newest jobs, among which a filter's were looked for one by one: two to five seconds in ten million
-- for a type, a queue, a priority or a state that nobody has. Now each filter has its entries together, in order:
--
--     state, time, or nothing      jobs_by_state: the newest of each state, merged
--     type, queue, priority        jobs_by_kind: the newest of each kind that is meant, merged
--     running                      jobs_processing: as few as there are slots
--     workspace; members           jobs_workspace_newest, jobs_workspace_out_of_the_ordinary
--     unique key, id               jobs_keyed, jobs_pkey
--     text in errors               jobs_with_error, jobs_workspace_with_error
--     group of errors              jobs_error_group
--
-- Measured with ten million jobs in 300 workspaces, 200 000 with an error, 50 shown, found or not: below 20 ms each, most
-- below 10. Slower, as what they need costs more than they are worth:
--     a worker that ran few jobs, or none of late: 4 s; an index for it costs 4 % of the throughput. With a time or a
--         state it takes as long as that has jobs. One that ran many of the newest takes 10 ms.
--     a text that few errors or none have: 70 ms for each hundred thousand with an error. A trigram index needs an
--         extension that not every server has, and takes a hundred entries for each failure.
--     for a member, a type, queue, priority or worker that is rare in the workspaces while these have many jobs: 20 ms for
--         twelve thousand, 2 s for 1.5 million; the kind in jobs_workspace_newest costs 5 % of the throughput.
--     for a member, what waits, where there are fewer than fifty: the same, 20 to 90 ms here.
-- The statements: Sources/JobWorker/Store/JobStore+Newest.swift.

-- The kind stands behind the order, where it is compared without a look at the row: so a type is looked for among all
-- jobs that wait.
CREATE INDEX IF NOT EXISTS jobs_by_state ON public.jobs (
    status, created_at DESC, id DESC, job_type, coalesce(job_queue, 'default'), coalesce(priority, 0)
) WHERE status IS DISTINCT FROM 'processing';
CREATE INDEX IF NOT EXISTS jobs_by_kind ON public.jobs (
    job_type, coalesce(job_queue, 'default'), coalesce(priority, 0), created_at DESC, id DESC
) WHERE status IS DISTINCT FROM 'processing' AND status IS DISTINCT FROM 'pending';

-- A job that goes well enters neither.
CREATE INDEX IF NOT EXISTS jobs_workspace_with_error ON public.jobs (workspace_id, created_at DESC, id DESC)
    WHERE error_message IS NOT NULL;
DROP INDEX IF EXISTS public.jobs_error_group;
CREATE INDEX jobs_error_group ON public.jobs (error_group, created_at DESC, id DESC)
    WHERE status IN ('failed', 'dead_letter');

DROP INDEX IF EXISTS public.jobs_newest, public.jobs_out_of_the_ordinary;

-- As in 0023, along jobs_by_state: the jobs of a status that isn't kept for good, oldest first, merged.
CREATE OR REPLACE FUNCTION jobworker.retire_jobs(days jsonb, keeps boolean, after_time timestamptz, after_id uuid, batch int,
                                      OUT looked int, OUT retired int, OUT last_time timestamptz, OUT last_id uuid)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := clock_timestamp();
    due uuid[];
    workflows uuid[];
    month timestamptz;
BEGIN
    retired := 0;
    WITH seen AS MATERIALIZED (
        SELECT old.* FROM unnest(ARRAY['completed', 'cancelled', 'failed', 'dead_letter']) AS ended (status)
        CROSS JOIN LATERAL (
            SELECT id, created_at, status, coalesce(completed_at, failed_at, created_at) AS ended_at, lease_open,
                   workspace_id
            FROM public.jobs
            WHERE jobs.status = ended.status AND jobs.status IS DISTINCT FROM 'processing'
              AND created_at < now - make_interval(days => (days ->> ended.status)::int)
              AND (created_at, id) > (coalesce(after_time, '-infinity'),
                                      coalesce(after_id, '00000000-0000-0000-0000-000000000000'))
            ORDER BY created_at, id LIMIT batch) AS old
        WHERE (days ->> ended.status)::int > 0
        ORDER BY old.created_at, old.id LIMIT batch
    ), chosen AS (
        SELECT seen.id FROM seen
        WHERE NOT seen.lease_open AND seen.workspace_id IS NOT NULL
          AND seen.ended_at < now - make_interval(days => (days ->> seen.status)::int)
          AND NOT EXISTS (SELECT FROM public.job_dependencies AS needed JOIN public.jobs AS child ON child.id = needed.job_id
                          WHERE needed.depends_on_job_id = seen.id AND child.status IN ('blocked', 'pending', 'processing'))
    )
    SELECT (SELECT count(*) FROM seen), (SELECT created_at FROM seen ORDER BY created_at DESC, id DESC LIMIT 1),
           (SELECT id FROM seen ORDER BY created_at DESC, id DESC LIMIT 1), ARRAY(SELECT id FROM chosen)
    INTO looked, last_time, last_id, due;
    IF cardinality(due) = 0 THEN
        RETURN;
    END IF;
    -- What somebody holds is left to the next time; what was retried meanwhile is none of ours.
    due := ARRAY(SELECT id FROM public.jobs WHERE id = ANY (due) AND NOT lease_open
                   AND status IN ('completed', 'cancelled', 'failed', 'dead_letter')
                 FOR UPDATE SKIP LOCKED);
    PERFORM set_config('jobworker.reason', 'kept as long as WORKER_RETENTION_DAYS says', true);
    IF keeps THEN
        FOR month IN SELECT DISTINCT date_trunc('month', coalesce(completed_at, failed_at, created_at) AT TIME ZONE 'UTC')
                                         AT TIME ZONE 'UTC'
                     FROM public.jobs WHERE id = ANY (due) LOOP
            PERFORM jobworker.make_archive_month(month);
        END LOOP;
        INSERT INTO public.jobs_archive (
            id, workspace_id, job_type, job_queue, payload, status, priority, attempts, max_attempts, progress, result,
            error_message, error_stack, error_group, created_at, scheduled_for, started_at, completed_at, failed_at,
            ended_at, worker_id, created_by, timeout_seconds, unique_key, workflow_id, schedule_id, replay_of, logs)
        SELECT id, workspace_id, job_type, job_queue, payload, status, priority, attempts, max_attempts, progress, result,
               error_message, error_stack, error_group, created_at, scheduled_for, started_at, completed_at, failed_at,
               coalesce(completed_at, failed_at, created_at), worker_id, created_by, timeout_seconds, unique_key,
               workflow_id, schedule_id, replay_of,
               coalesce((SELECT jsonb_agg(jsonb_build_object('created_at', log.created_at, 'log_level', log.log_level,
                                              'message', log.message, 'metadata', log.metadata)
                                          ORDER BY log.created_at, log.seq)
                         FROM (SELECT * FROM public.job_logs WHERE job_id = jobs.id
                               ORDER BY created_at DESC, seq DESC LIMIT 100) AS log), '[]')
        FROM public.jobs WHERE id = ANY (due);
    END IF;
    workflows := ARRAY(SELECT DISTINCT workflow_id FROM public.jobs WHERE id = ANY (due) AND workflow_id IS NOT NULL);
    DELETE FROM public.jobs WHERE id = ANY (due);
    GET DIAGNOSTICS retired = ROW_COUNT;
    -- A workflow goes with the last of its jobs, unless somebody adds some right now.
    IF cardinality(workflows) > 0 THEN
        DELETE FROM public.job_workflows WHERE id = ANY (ARRAY(
            SELECT workflow.id FROM public.job_workflows AS workflow
            WHERE workflow.id = ANY (workflows)
              AND NOT EXISTS (SELECT FROM public.jobs WHERE jobs.workflow_id = workflow.id)
            FOR UPDATE SKIP LOCKED));
    END IF;
END
$$;
