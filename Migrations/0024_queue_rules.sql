-- 0024: caps, weights, ageing and turns of queues, and limits on job types and workspaces, take effect.
-- Locks:   jobs and job_queues against everything, for a moment.
-- Rollout: before the workers of this version. Earlier ones know no rules: while they run, what is set here doesn't
--          hold for them, except that they start nothing in a paused queue.
-- Growth:  a row per limit, and per workspace that a limit counts for itself. The index jobs_turns holds nothing until
--          a queue is fair or a limit is set; from then on it holds what is pending.

-- What a claim has to know of a queue before it may start anything the quick way: kept by triggers, so that it is one
-- look at one small table. '*' stands for every queue.
CREATE TABLE jobworker.held_queues (
    name       text PRIMARY KEY,
    is_paused  boolean NOT NULL,
    -- Its jobs are started by the careful claim alone.
    has_rules  boolean NOT NULL,
    -- One claim of it at a time, so that what runs can be counted.
    is_counted boolean NOT NULL
);
ALTER TABLE jobworker.held_queues ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.held_queues FROM PUBLIC;
GRANT SELECT ON jobworker.held_queues TO jobworker;
CREATE POLICY jobworker_worker ON jobworker.held_queues FOR SELECT TO jobworker USING (true);

-- How much of a job type, of a workspace, or of a type in a workspace may run at once, or start in a time, over all
-- processes. A job is held by every limit that fits it.
CREATE TABLE public.job_limits (
    name           text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 100),
    job_type       varchar(100),                                        -- null: any
    workspace_id   uuid REFERENCES public.workspaces ON DELETE CASCADE, -- null: any
    each_workspace boolean NOT NULL DEFAULT false,                      -- counted for each workspace by itself
    max_running    int CHECK (max_running >= 0),                        -- null: any number
    rate           int CHECK (rate BETWEEN 1 AND 1000000),              -- so many starts; null: any number …
    period         interval NOT NULL DEFAULT '1 minute'                 -- … in such a time
        CHECK (period BETWEEN interval '1 second' AND interval '1 day'),
    burst          int CHECK (burst BETWEEN 1 AND 1000000),             -- at once after a quiet time; null: a second's worth
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT limits_something CHECK (num_nonnulls(max_running, rate) > 0),
    CONSTRAINT of_something CHECK (num_nonnulls(job_type, workspace_id) > 0 OR each_workspace),
    CONSTRAINT burst_of_a_rate CHECK (burst IS NULL OR rate IS NOT NULL)
);
CREATE INDEX job_limits_workspace ON public.job_limits (workspace_id) WHERE workspace_id IS NOT NULL;
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.job_limits
    FOR EACH ROW EXECUTE FUNCTION jobworker.touch_updated_at();

-- What is left of each rate, as of a time. A row that is missing is full.
CREATE TABLE jobworker.limit_tokens (
    limit_name   text NOT NULL,                                         -- no foreign key: a claim mustn't fail by it
    workspace_id uuid NOT NULL,                                         -- zeros where it is counted for all together
    tokens       double precision NOT NULL,
    counted_at   timestamptz NOT NULL,
    PRIMARY KEY (limit_name, workspace_id)
) WITH (fillfactor = 50);

-- Whose turn was the last in a fair queue.
CREATE TABLE jobworker.queue_turns (
    queue        text PRIMARY KEY,
    workspace_id uuid NOT NULL
) WITH (fillfactor = 50);

DO $$
DECLARE
    target regclass;
BEGIN
    FOREACH target IN ARRAY ARRAY['jobworker.limit_tokens', 'jobworker.queue_turns']::regclass[] LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO jobworker', target);
        EXECUTE format('CREATE POLICY jobworker_worker ON %s TO jobworker USING (true) WITH CHECK (true)', target);
    END LOOP;
END
$$;
ALTER TABLE public.job_limits ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.job_limits FROM PUBLIC, anon, authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.job_limits TO service_role, jobworker;
CREATE POLICY jobworker_worker ON public.job_limits TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_limits TO service_role USING (true) WITH CHECK (true);

ALTER TABLE public.jobs
    -- In the index of turns; set by triggers that are only enabled while somebody takes turns.
    ADD COLUMN takes_turns boolean,
    -- Its run counts somewhere: its end leaves a place to others. Set by the careful claim.
    ADD COLUMN leaves_place boolean;

-- For turns and limits: the first of each workspace, type and priority, without walking past the others.
CREATE INDEX jobs_turns ON public.jobs (
    coalesce(job_queue, 'default'), workspace_id, job_type, (-coalesce(priority, 0)),
    greatest(created_at, scheduled_for, next_retry_at), id
) WHERE status = 'pending' AND takes_turns;

-- Turns are taken from now on: what is pending enters the index, and what becomes so, too. The triggers are disabled as
-- long as nobody takes turns and cost nothing then. To enable them keeps writers waiting, so that no job is missed: a
-- second or two for 100,000 pending jobs, once.
CREATE FUNCTION jobworker.take_turns() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.takes_turns := true;
    RETURN NEW;
END
$$;
CREATE TRIGGER jobs_turns_insert BEFORE INSERT ON public.jobs
    FOR EACH ROW EXECUTE FUNCTION jobworker.take_turns();
CREATE TRIGGER jobs_turns_update BEFORE UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status = 'pending' AND OLD.status IS DISTINCT FROM 'pending' AND NEW.takes_turns IS NULL)
    EXECUTE FUNCTION jobworker.take_turns();
ALTER TABLE public.jobs DISABLE TRIGGER jobs_turns_insert;
ALTER TABLE public.jobs DISABLE TRIGGER jobs_turns_update;

CREATE FUNCTION jobworker.arrange_turns() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_wanted constant boolean := EXISTS (SELECT FROM public.job_queues WHERE fair) OR EXISTS (SELECT FROM public.job_limits);
    is_enabled constant boolean := EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'public.jobs'::regclass AND tgname = 'jobs_turns_insert' AND tgenabled <> 'D');
BEGIN
    IF is_wanted AND NOT is_enabled THEN
        -- First the lock: with rows changed before, whoever waits for one of them would keep us waiting for ever.
        PERFORM set_config('lock_timeout', '5s', true);
        ALTER TABLE public.jobs ENABLE TRIGGER jobs_turns_insert;
        ALTER TABLE public.jobs ENABLE TRIGGER jobs_turns_update;
        UPDATE public.jobs SET takes_turns = true WHERE status = 'pending' AND takes_turns IS NULL;
    ELSIF is_enabled AND NOT is_wanted THEN
        PERFORM set_config('lock_timeout', '5s', true);
        ALTER TABLE public.jobs DISABLE TRIGGER jobs_turns_insert;
        ALTER TABLE public.jobs DISABLE TRIGGER jobs_turns_update;
    END IF;
END
$$;

-- Keeps held_queues true, and tells the workers. What a pause, a cap or a limit held back may start now, and what has
-- got a rule must be looked at in another way: as many workers as wait.
CREATE FUNCTION jobworker.on_queue_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    has_weights boolean;
    has_limits boolean;
BEGIN
    -- One change at a time, as each looks at all rows.
    PERFORM pg_advisory_xact_lock(hashtextextended('jobworker.held_queues', 0));
    DELETE FROM jobworker.held_queues AS held
    WHERE held.name <> '*' AND NOT EXISTS (
        SELECT FROM public.job_queues AS queue WHERE queue.name = held.name
        AND (queue.paused_at IS NOT NULL OR queue.fair OR num_nonnulls(queue.max_running, queue.ageing) > 0));
    INSERT INTO jobworker.held_queues AS held (name, is_paused, has_rules, is_counted)
    SELECT queue.name, queue.paused_at IS NOT NULL, queue.fair OR num_nonnulls(queue.max_running, queue.ageing) > 0,
           queue.fair OR queue.max_running IS NOT NULL
    FROM public.job_queues AS queue
    WHERE queue.paused_at IS NOT NULL OR queue.fair OR num_nonnulls(queue.max_running, queue.ageing) > 0
    ON CONFLICT (name) DO UPDATE
    SET is_paused = excluded.is_paused, has_rules = excluded.has_rules, is_counted = excluded.is_counted
    WHERE (held.is_paused, held.has_rules, held.is_counted)
          IS DISTINCT FROM (excluded.is_paused, excluded.has_rules, excluded.is_counted);

    -- A weight is nothing by itself: with one of them, all queues are looked at together.
    has_weights := EXISTS (SELECT FROM public.job_queues WHERE weight <> 1);
    has_limits := EXISTS (SELECT FROM public.job_limits);
    DELETE FROM jobworker.held_queues WHERE name = '*' AND NOT (has_weights OR has_limits);
    INSERT INTO jobworker.held_queues AS held (name, is_paused, has_rules, is_counted)
    SELECT '*', false, true, has_limits WHERE has_weights OR has_limits
    ON CONFLICT (name) DO UPDATE SET is_counted = excluded.is_counted WHERE held.is_counted <> excluded.is_counted;

    DELETE FROM jobworker.limit_tokens AS spent
    WHERE NOT EXISTS (SELECT FROM public.job_limits WHERE job_limits.name = spent.limit_name);

    PERFORM jobworker.arrange_turns();

    PERFORM pg_notify(channel, '- - *') FROM jobworker.waiting_workers WHERE until > clock_timestamp();
    RETURN NULL;
END
$$;

DROP TRIGGER announce_queue ON public.job_queues;
DROP FUNCTION jobworker.announce_queue();
CREATE TRIGGER queue_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.job_queues
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.on_queue_change();
CREATE TRIGGER limit_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.job_limits
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.on_queue_change();

-- A run that counted somewhere has ended: somebody who waits may take its place. Which job that is, only a look tells.
CREATE FUNCTION jobworker.announce_place() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM jobworker.wake(coalesce(OLD.job_queue, 'default'), coalesce(OLD.priority, 0),
                           greatest(OLD.created_at, OLD.scheduled_for, OLD.next_retry_at), 1);
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_leave_place AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (
        OLD.leaves_place IS TRUE AND (OLD.status = 'processing' OR OLD.lease_open)
        AND NOT (NEW.status = 'processing' OR NEW.lease_open))
    EXECUTE FUNCTION jobworker.announce_place();
CREATE TRIGGER jobs_leave_place_deleted AFTER DELETE ON public.jobs
    FOR EACH ROW WHEN (OLD.leaves_place IS TRUE AND (OLD.status = 'processing' OR OLD.lease_open))
    EXECUTE FUNCTION jobworker.announce_place();

CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON public.job_limits
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER') OR current_setting('jobworker.actor', true) <> '')
    EXECUTE FUNCTION jobworker.audit_change('limit', 'name');

REVOKE ALL ON FUNCTION jobworker.take_turns(), jobworker.arrange_turns(), jobworker.on_queue_change(),
    jobworker.announce_place() FROM PUBLIC;

-- What was set before now holds, pauses among it.
UPDATE public.job_queues SET name = name WHERE false;
