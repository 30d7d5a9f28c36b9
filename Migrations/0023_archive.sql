-- 0023: what is old goes, and into an archive if that is asked for.
-- Locks:   none on tables in use.
-- Rollout: before the workers of this version.
-- Growth:  jobs_archive, where it is asked for, has a row for each job that retention takes. Drop old months of it with
--          DROP TABLE.

-- The archive: what retention takes from jobs, by the month of its end, with the end of its log.
CREATE TABLE public.jobs_archive (
    id              uuid NOT NULL,
    workspace_id    uuid REFERENCES public.workspaces ON DELETE CASCADE,
    job_type        text NOT NULL,
    job_queue       text,
    payload         jsonb NOT NULL,
    status          text NOT NULL,
    priority        int,
    attempts        int,
    max_attempts    int,
    progress        jsonb,
    result          jsonb,
    error_message   text,
    error_stack     text,
    error_group     text,
    created_at      timestamptz,
    scheduled_for   timestamptz,
    started_at      timestamptz,
    completed_at    timestamptz,
    failed_at       timestamptz,
    ended_at        timestamptz NOT NULL,
    worker_id       text,
    created_by      uuid,
    timeout_seconds int,
    unique_key      text,
    workflow_id     uuid,
    schedule_id     uuid,
    replay_of       uuid,
    logs            jsonb NOT NULL DEFAULT '[]',     -- the last hundred rows of its log, oldest first
    archived_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (id, ended_at)
) PARTITION BY RANGE (ended_at);
CREATE INDEX jobs_archive_workspace ON public.jobs_archive (workspace_id, ended_at DESC);

ALTER TABLE public.jobs_archive ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.jobs_archive FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON public.jobs_archive TO authenticated;
GRANT SELECT, INSERT, DELETE ON public.jobs_archive TO service_role, jobworker;
CREATE POLICY jobworker_worker ON public.jobs_archive TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.jobs_archive TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_member_select ON public.jobs_archive FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));

-- Makes the archive's table of a month, unless it is there. Runs as the owner, as workers make no tables.
CREATE FUNCTION jobworker.make_archive_month(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_day constant timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
    name constant text := 'jobs_archive_' || to_char(first_day, 'YYYY_MM');
BEGIN
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- One at a time. Who waited may not see yet that it is made, as its catalogue was read before: then this is told.
    PERFORM pg_advisory_xact_lock(hashtext('jobworker.make_archive_month'));
    EXECUTE format('CREATE TABLE public.%I PARTITION OF public.jobs_archive FOR VALUES FROM (%L) TO (%L)', name,
                   first_day AT TIME ZONE 'UTC', (first_day + interval '1 month') AT TIME ZONE 'UTC');
    -- Rows are reached through the whole, where the policies are.
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, anon, authenticated, service_role', name);
EXCEPTION WHEN duplicate_table THEN
    NULL;
END
$$;

-- Takes what has been finished for longer than its status is kept (status → days), among the next jobs from a place on,
-- oldest first: deletes it, and keeps it in the archive if asked. Jobs whose result a blocked one still needs stay.
-- looked: how many rows it saw; fewer than asked for: that was the end. Relies on jobs_newest.
CREATE FUNCTION jobworker.retire_jobs(days jsonb, keeps boolean, after_time timestamptz, after_id uuid, batch int,
                                      OUT looked int, OUT retired int, OUT last_time timestamptz, OUT last_id uuid)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := clock_timestamp();
    shortest constant int := (SELECT min(value::int) FROM jsonb_each_text(days) WHERE value::int > 0);
    due uuid[];
    workflows uuid[];
    month timestamptz;
BEGIN
    retired := 0;
    WITH seen AS MATERIALIZED (
        SELECT id, created_at, status, coalesce(completed_at, failed_at, created_at) AS ended_at, lease_open, workspace_id
        FROM public.jobs
        WHERE created_at < now - make_interval(days => shortest)
          AND (created_at, id) > (coalesce(after_time, '-infinity'), coalesce(after_id, '00000000-0000-0000-0000-000000000000'))
        ORDER BY created_at, id LIMIT batch
    ), chosen AS (
        SELECT seen.id FROM seen
        WHERE NOT seen.lease_open AND seen.workspace_id IS NOT NULL
          AND seen.status IN ('completed', 'cancelled', 'failed', 'dead_letter')
          AND coalesce((days ->> seen.status)::int, 0) > 0
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

REVOKE ALL ON FUNCTION jobworker.make_archive_month(timestamptz),
    jobworker.retire_jobs(jsonb, boolean, timestamptz, uuid, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.make_archive_month(timestamptz),
    jobworker.retire_jobs(jsonb, boolean, timestamptz, uuid, int) TO jobworker;
