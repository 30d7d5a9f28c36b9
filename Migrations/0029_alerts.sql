-- 0029: alerts to administrators: what is wrong with the whole, one row for each situation over all workers; and webhooks
--       of operators, which belong to no workspace and are told of alerts. And what waits for several jobs shows how many
--       of them have ended, and stands in the audit when a member adds it.
-- Locks:   jobs, webhook_endpoints and webhook_deliveries against everything, dead_letter_queue against writes, for a moment.
-- Rollout: before the workers of this version. Earlier ones raise no alerts; while they run, a queue that they alone
--          serve can be taken for one in which nothing is completed.
-- Growth:  job_alerts gets a row for each situation; ended ones go after 90 days. A row for each queue in which
--          something was completed.
-- Cost:    none for a job. A worker tells now and then in which queues it has completed something.

CREATE TABLE public.job_alerts (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    rule        text NOT NULL CHECK (rule IN ('dead_letter', 'queue_depth', 'stalled', 'worker_lost')),
    subject     text NOT NULL,                  -- a job type, a queue, or a worker as instance@host
    message     text NOT NULL,
    value       bigint NOT NULL,                -- jobs, or seconds
    threshold   bigint NOT NULL,                -- what the value was compared with when it was raised
    since       timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at     timestamptz NOT NULL DEFAULT clock_timestamp(),     -- when it was last found so
    ended_at    timestamptz,
    raised_by   text NOT NULL,                  -- the worker that found it
    resolved_by text,
    CONSTRAINT resolved_by_somebody CHECK ((ended_at IS NULL) = (resolved_by IS NULL))
);
-- One for a situation, however many workers look.
CREATE UNIQUE INDEX job_alerts_open ON public.job_alerts (rule, subject) WHERE ended_at IS NULL;
CREATE INDEX job_alerts_newest ON public.job_alerts (since DESC, id DESC);
ALTER TABLE public.job_alerts ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.job_alerts FROM PUBLIC, anon, authenticated;
GRANT SELECT ON public.job_alerts TO service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.job_alerts TO jobworker;
CREATE POLICY jobworker_worker ON public.job_alerts TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_alerts FOR SELECT TO service_role USING (true);

-- When somebody last looked, and since when somebody has done so without a long break: what happened while nobody
-- could look, as during an outage, is nobody's fault.
CREATE TABLE jobworker.alert_looks (
    single         boolean PRIMARY KEY DEFAULT true CHECK (single),
    looked_at      timestamptz NOT NULL,
    watching_since timestamptz NOT NULL
) WITH (fillfactor = 50);
INSERT INTO jobworker.alert_looks (looked_at, watching_since) VALUES (clock_timestamp(), clock_timestamp());

-- When something was last completed in a queue, as workers tell now and then.
CREATE TABLE jobworker.queue_progress (
    queue        text PRIMARY KEY,
    completed_at timestamptz NOT NULL
) WITH (fillfactor = 50);

DO $$
DECLARE
    target regclass;
BEGIN
    FOREACH target IN ARRAY ARRAY['jobworker.alert_looks', 'jobworker.queue_progress']::regclass[] LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO jobworker', target);
        EXECUTE format('CREATE POLICY jobworker_worker ON %s TO jobworker USING (true) WITH CHECK (true)', target);
    END LOOP;
END
$$;

-- For the rule about dead letters: what was set aside lately and not settled. Nobody knows when earlier rows came: a job may
-- be set aside long after it failed.
ALTER TABLE public.dead_letter_queue ADD COLUMN IF NOT EXISTS added_at timestamptz;
ALTER TABLE public.dead_letter_queue ALTER COLUMN added_at SET DEFAULT clock_timestamp();
CREATE INDEX IF NOT EXISTS dead_letter_queue_unsettled ON public.dead_letter_queue (added_at)
    WHERE status IN ('pending', 'investigating');

-- Webhooks of operators have no workspace. Members don't see them: their policies compare the workspace.
ALTER TABLE public.webhook_endpoints ALTER COLUMN workspace_id DROP NOT NULL;
ALTER TABLE public.webhook_deliveries ALTER COLUMN workspace_id DROP NOT NULL;
-- The key of two columns says nothing where one of them is null.
ALTER TABLE public.webhook_deliveries ADD CONSTRAINT webhook_deliveries_endpoint_exists
    FOREIGN KEY (endpoint_id) REFERENCES public.webhook_endpoints ON DELETE CASCADE NOT VALID;

-- As in 0018, with the events of either kind of endpoint.
CREATE OR REPLACE FUNCTION jobworker.on_endpoint_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known constant text[] := CASE WHEN NEW.workspace_id IS NULL THEN ARRAY['alert.raised', 'alert.resolved']
        ELSE ARRAY['job.completed', 'job.failed', 'job.dead_letter', 'job.cancelled', 'job.retried'] END;
    unknown text;
BEGIN
    IF NEW.url !~* '^https?://[^/?#@[:space:][:cntrl:]]+([/?#][^[:space:][:cntrl:]]*)?$' THEN
        RAISE EXCEPTION 'the URL must begin with https:// or http://, name a host, and hold no user, password or space'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- None means all, as an absent list does.
    NEW.events := nullif(NEW.events, '{}');
    NEW.job_types := nullif(NEW.job_types, '{}');
    SELECT event INTO unknown FROM unnest(NEW.events) AS event WHERE coalesce(event <> ALL (known), true) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the event ''%'' is not known%; known are %', left(coalesce(unknown, 'null'), 100),
            CASE WHEN NEW.workspace_id IS NULL THEN ' to an endpoint without a workspace' ELSE '' END,
            array_to_string(known, ', ') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NEW.workspace_id IS NULL AND NEW.job_types IS NOT NULL THEN
        RAISE EXCEPTION 'an endpoint without a workspace is told of alerts, and names no job types'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(NEW.job_types) > 100 THEN
        RAISE EXCEPTION 'an endpoint names at most 100 job types' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF TG_OP = 'INSERT' THEN
        -- The ends of jobs are told to workspaces' endpoints alone.
        IF NEW.workspace_id IS NOT NULL THEN
            PERFORM setval('jobworker.webhooks_in_use', 1);
        END IF;
        IF (SELECT count(*) FROM public.webhook_endpoints
            WHERE workspace_id IS NOT DISTINCT FROM NEW.workspace_id) >= 50 THEN
            RAISE EXCEPTION '%', CASE WHEN NEW.workspace_id IS NULL THEN 'operators have at most 50 endpoints'
                ELSE 'a workspace has at most 50 endpoints' END USING ERRCODE = 'invalid_parameter_value';
        END IF;
    ELSIF NEW.workspace_id IS DISTINCT FROM OLD.workspace_id THEN
        -- Its secret is encrypted for the workspace.
        RAISE EXCEPTION 'an endpoint stays in its workspace' USING ERRCODE = 'invalid_parameter_value';
    ELSIF NEW.url <> OLD.url OR (NEW.enabled AND NOT OLD.enabled) THEN
        -- A new start.
        NEW.consecutive_failures := 0;
        NEW.retry_at := NULL;
    END IF;
    IF NEW.enabled THEN
        NEW.disabled_reason := NULL;
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER webhook_endpoints_update ON public.webhook_endpoints;
CREATE TRIGGER webhook_endpoints_update BEFORE UPDATE OF workspace_id, url, events, job_types, enabled
    ON public.webhook_endpoints FOR EACH ROW EXECUTE FUNCTION jobworker.on_endpoint_written();

CREATE OR REPLACE FUNCTION jobworker.rest_webhooks() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_sequence_last_value('jobworker.webhooks_in_use') IS NULL
       OR EXISTS (SELECT FROM public.webhook_endpoints WHERE workspace_id IS NOT NULL) THEN
        RETURN false;
    END IF;
    LOCK TABLE public.webhook_endpoints IN SHARE MODE NOWAIT;
    IF EXISTS (SELECT FROM public.webhook_endpoints WHERE workspace_id IS NOT NULL) THEN
        RETURN false;
    END IF;
    PERFORM setval('jobworker.webhooks_in_use', 1, false);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;

-- A job that waits for several others shows how many of them have ended. How many there are is counted once, at the
-- first end, and kept in the progress itself. No statement of a claim or a completion sets `blockers`.
CREATE FUNCTION jobworker.show_waiting() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    total int := CASE WHEN jsonb_typeof(OLD.progress -> 'total') = 'number' THEN (OLD.progress ->> 'total')::int END;
BEGIN
    IF total IS NULL THEN
        SELECT count(*) INTO total FROM public.job_dependencies AS d WHERE d.job_id = NEW.id;
    END IF;
    IF total > 1 THEN
        NEW.progress := jsonb_build_object(
            'percentage', 100 * (total - coalesce(NEW.blockers, 0)) / total,
            'message', format('%s of %s jobs have ended', total - coalesce(NEW.blockers, 0), total),
            'done', total - coalesce(NEW.blockers, 0), 'total', total);
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION jobworker.show_waiting() FROM PUBLIC;
CREATE TRIGGER jobs_show_waiting BEFORE UPDATE OF blockers ON public.jobs
    FOR EACH ROW WHEN (OLD.status = 'blocked' AND NEW.blockers <> OLD.blockers)
    EXECUTE FUNCTION jobworker.show_waiting();

-- As in 0020. Members who add jobs that wait stand in the audit as well: to the trigger this function's owner adds them.
CREATE OR REPLACE FUNCTION jobworker.add_jobs(workspace uuid, jobs jsonb)
RETURNS TABLE (place int, step text, id uuid, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    -- Where the trigger writes nothing.
    is_told constant boolean := NOT jobworker.is_trusted() AND pg_has_role('jobworker', 'MEMBER')
        AND coalesce(current_setting('jobworker.actor', true), '') = '';
    added uuid[];
BEGIN
    PERFORM jobworker.require_member(workspace);
    FOR place, step, id, status IN
        SELECT * FROM jobworker.insert_jobs(
            workspace, jobs, NULL, (SELECT u.id FROM auth.users AS u WHERE u.id = jobworker.user_id()))
    LOOP
        added := added || id;
        RETURN NEXT;
    END LOOP;
    IF is_told AND cardinality(added) <= 100 THEN
        PERFORM jobworker.audit('job.add', j.job_type, j.workspace_id, j.id, NULL, jsonb_strip_nulls(jsonb_build_object(
            'job_type', j.job_type, 'job_queue', j.job_queue, 'status', j.status, 'priority', j.priority,
            'scheduled_for', j.scheduled_for, 'max_attempts', j.max_attempts, 'timeout_seconds', j.timeout_seconds,
            'unique_key', j.unique_key)))
        FROM public.jobs AS j WHERE j.id = ANY (added);
    ELSIF is_told THEN
        PERFORM jobworker.audit('job.add', NULL, workspace, NULL, NULL, jsonb_build_object('jobs', cardinality(added)));
    END IF;
END
$$;
