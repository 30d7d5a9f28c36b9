-- 0005: the worker's own tables: queues, workers, dependencies, schedules, webhooks.
-- Locks:   jobs and workspaces against writes, for a moment (foreign keys).
-- Rollout: older workers don't know these tables.
-- Growth:  a row per queue, process and schedule; job_dependencies and webhook_deliveries grow with the jobs
--          that use them.

CREATE TABLE public.job_queues (
    name        text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 50),
    paused_at   timestamptz,                                          -- null: not paused
    paused_by   text,
    max_running int CHECK (max_running >= 0),                         -- over all processes; null: no cap
    weight      int NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    ageing      interval CHECK (ageing > interval '0'),               -- so long a wait is worth a step of priority
    fair        boolean NOT NULL DEFAULT false,                       -- workspaces take turns
    dead_letter boolean NOT NULL DEFAULT false,                       -- attempts used up: dead_letter, not failed
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT paused_by_somebody_at_some_time CHECK (paused_at IS NOT NULL OR paused_by IS NULL)
);
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.job_queues
    FOR EACH ROW EXECUTE FUNCTION jobworker.touch_updated_at();

-- What a pause or a cap held back may start now.
CREATE FUNCTION jobworker.announce_queue() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('jobworker_due', OLD.name);
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_queue AFTER UPDATE OR DELETE ON public.job_queues
    FOR EACH ROW EXECUTE FUNCTION jobworker.announce_queue();

CREATE TABLE public.job_workers (
    id             text PRIMARY KEY,
    instance       text NOT NULL,
    host           text NOT NULL,
    machine_id     text,
    pid            int,
    version        text,
    queues         text[] NOT NULL DEFAULT '{}',
    job_types      text[] NOT NULL DEFAULT '{}',
    max_concurrent int,
    running        int NOT NULL DEFAULT 0,
    started_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    stopped_at     timestamptz
) WITH (fillfactor = 50);

CREATE TABLE public.job_dependencies (
    job_id            uuid NOT NULL REFERENCES public.jobs ON DELETE CASCADE,
    depends_on_job_id uuid NOT NULL REFERENCES public.jobs ON DELETE CASCADE,
    on_failure        text NOT NULL DEFAULT 'cancel' CHECK (on_failure IN ('cancel', 'run')),
    created_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, depends_on_job_id),
    CONSTRAINT no_dependency_on_itself CHECK (job_id <> depends_on_job_id)
);
-- For the end of a job: who waits for it.
CREATE INDEX job_dependencies_parent ON public.job_dependencies (depends_on_job_id);

-- A key of two columns would need another unique index on jobs, for something that is asked once per dependency.
CREATE FUNCTION jobworker.check_dependency() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.jobs AS child JOIN public.jobs AS parent ON parent.workspace_id = child.workspace_id
        WHERE child.id = NEW.job_id AND parent.id = NEW.depends_on_job_id) THEN
        RAISE EXCEPTION 'job % can''t depend on %: both must exist in one workspace', NEW.job_id, NEW.depends_on_job_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'job_dependencies_one_workspace';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER job_dependencies_one_workspace BEFORE INSERT OR UPDATE ON public.job_dependencies
    FOR EACH ROW EXECUTE FUNCTION jobworker.check_dependency();

CREATE TABLE public.job_schedules (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id  uuid NOT NULL REFERENCES public.workspaces ON DELETE CASCADE,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    job_type      varchar(100) NOT NULL,
    payload       jsonb NOT NULL DEFAULT '{}',
    job_queue     varchar(50) NOT NULL DEFAULT 'default',
    priority      int NOT NULL DEFAULT 0 CHECK (priority BETWEEN -10 AND 10),
    max_attempts  int NOT NULL DEFAULT 5 CHECK (max_attempts BETWEEN 1 AND 100),
    timeout_seconds int CHECK (timeout_seconds > 0),
    cron          text,
    every_seconds int CHECK (every_seconds > 0),
    timezone      text NOT NULL DEFAULT 'UTC',
    overlap       text NOT NULL DEFAULT 'skip' CHECK (overlap IN ('allow', 'skip')),
    catch_up      text NOT NULL DEFAULT 'one' CHECK (catch_up IN ('none', 'one', 'all')),
    enabled       boolean NOT NULL DEFAULT true,
    next_run_at   timestamptz,                                        -- null: not computed yet, or no further run
    last_run_at   timestamptz,
    last_error    text,
    created_by    uuid REFERENCES auth.users ON DELETE SET NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, name),
    CONSTRAINT cron_or_interval CHECK (num_nonnulls(cron, every_seconds) = 1)
);
-- For the ticker: what is due next.
CREATE INDEX job_schedules_next ON public.job_schedules (next_run_at) WHERE enabled;
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.job_schedules
    FOR EACH ROW EXECUTE FUNCTION jobworker.touch_updated_at();

ALTER TABLE public.jobs ADD CONSTRAINT jobs_schedule FOREIGN KEY (schedule_id)
    REFERENCES public.job_schedules ON DELETE SET NULL NOT VALID;

CREATE TABLE public.webhook_endpoints (
    id                   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id         uuid NOT NULL REFERENCES public.workspaces ON DELETE CASCADE,
    url                  text NOT NULL CHECK (length(url) BETWEEN 1 AND 2000),
    events               text[],                                      -- null: all
    job_types            text[],                                      -- null: all
    secret_encrypted     text NOT NULL,
    enabled              boolean NOT NULL DEFAULT true,
    consecutive_failures int NOT NULL DEFAULT 0,
    disabled_reason      text,
    created_by           uuid REFERENCES auth.users ON DELETE SET NULL,
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, workspace_id)
);
CREATE INDEX webhook_endpoints_workspace ON public.webhook_endpoints (workspace_id);
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION jobworker.touch_updated_at();

-- The id is the webhook-id: the same on every try, so that a receiver can drop repeats.
CREATE TABLE public.webhook_deliveries (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    endpoint_id     uuid NOT NULL,
    workspace_id    uuid NOT NULL,
    job_id          uuid,                                             -- no foreign key: the notice outlives the job
    event           text NOT NULL,
    payload         jsonb NOT NULL DEFAULT '{}',
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts        int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT now(),
    response_status int,
    error           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    delivered_at    timestamptz,
    -- An endpoint's deliveries are its own workspace's.
    FOREIGN KEY (endpoint_id, workspace_id) REFERENCES public.webhook_endpoints (id, workspace_id) ON DELETE CASCADE,
    CONSTRAINT attempt_only_while_pending CHECK ((next_attempt_at IS NOT NULL) = (status = 'pending'))
);
-- For the sender: what is due, oldest first. The settled majority stays out of it.
CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries (next_attempt_at, id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_endpoint ON public.webhook_deliveries (endpoint_id, created_at DESC, id DESC);

-- What people change here is audited; the program itself writes the rows for what operators do.
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON public.job_schedules
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER') AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION jobworker.audit_change('schedule', 'name');
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON public.webhook_endpoints
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER') AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION jobworker.audit_change('webhook', 'id');

-- Rights.
REVOKE ALL ON FUNCTION jobworker.check_dependency(), jobworker.announce_queue() FROM PUBLIC;

DO $$
DECLARE
    target regclass;
BEGIN
    FOREACH target IN ARRAY ARRAY['public.job_queues', 'public.job_workers', 'public.job_dependencies',
                                  'public.job_schedules', 'public.webhook_endpoints',
                                  'public.webhook_deliveries']::regclass[] LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
        PERFORM jobworker.revoke_all(target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO service_role, jobworker', target);
        EXECUTE format('CREATE POLICY jobworker_worker ON %s TO jobworker USING (true) WITH CHECK (true)', target);
        EXECUTE format('CREATE POLICY jobworker_service ON %s TO service_role USING (true) WITH CHECK (true)', target);
    END LOOP;
END
$$;

GRANT SELECT ON public.job_dependencies, public.job_schedules, public.webhook_deliveries TO authenticated;
CREATE POLICY jobworker_member_select ON public.job_dependencies FOR SELECT TO authenticated
    USING (EXISTS (SELECT FROM public.jobs WHERE jobs.id = job_dependencies.job_id
                   AND jobs.workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces()))));

-- Any member sees what runs by itself; an admin arranges it.
GRANT DELETE ON public.job_schedules TO authenticated;
GRANT INSERT (workspace_id, name, job_type, payload, job_queue, priority, max_attempts, timeout_seconds, cron,
              every_seconds, timezone, overlap, catch_up, enabled, next_run_at, created_by),
      UPDATE (name, job_type, payload, job_queue, priority, max_attempts, timeout_seconds, cron,
              every_seconds, timezone, overlap, catch_up, enabled, next_run_at)
    ON public.job_schedules TO authenticated;
CREATE POLICY jobworker_member_select ON public.job_schedules FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
CREATE POLICY jobworker_admin_insert ON public.job_schedules FOR INSERT TO authenticated
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces()))
                AND (created_by IS NULL OR created_by = (SELECT jobworker.user_id())));
CREATE POLICY jobworker_admin_update ON public.job_schedules FOR UPDATE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())))
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
CREATE POLICY jobworker_admin_delete ON public.job_schedules FOR DELETE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));

-- The secret goes in and never comes out.
GRANT SELECT (id, workspace_id, url, events, job_types, enabled, consecutive_failures, disabled_reason, created_by,
              created_at, updated_at),
      INSERT (workspace_id, url, events, job_types, secret_encrypted, enabled, created_by),
      UPDATE (url, events, job_types, secret_encrypted, enabled, consecutive_failures, disabled_reason),
      DELETE
    ON public.webhook_endpoints TO authenticated;
CREATE POLICY jobworker_admin_select ON public.webhook_endpoints FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
CREATE POLICY jobworker_admin_insert ON public.webhook_endpoints FOR INSERT TO authenticated
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces()))
                AND (created_by IS NULL OR created_by = (SELECT jobworker.user_id())));
CREATE POLICY jobworker_admin_update ON public.webhook_endpoints FOR UPDATE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())))
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
CREATE POLICY jobworker_admin_delete ON public.webhook_endpoints FOR DELETE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
CREATE POLICY jobworker_admin_select ON public.webhook_deliveries FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));

-- The tools of the adoption have done their work.
DROP FUNCTION jobworker.convert_times(regclass), jobworker.conversion_blockers(regclass),
    jobworker.views_on_zoneless(regclass), jobworker.zoneless_columns(regclass),
    jobworker.replace_policies(regclass), jobworker.revoke_all(regclass);
