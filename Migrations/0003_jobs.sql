-- 0003: jobs and their log: made, or taken over from the application with their rows.
-- Locks:   jobs and job_logs against everything, until the end. On existing tables that is the time it takes
--          to build the indexes (a second or two per million rows); rows are not rewritten.
-- Rollout: the application keeps working before, during and after: it waits for the lock. Its policies
--          on both tables are noted in jobworker.replaced_policies and replaced.
--          Of the application's indexes on jobs these go, as ours serve their queries: those that begin
--          with workspace_id, status, job_queue or job_type, scheduled_for, next_retry_at,
--          worker_heartbeat_at. Each index costs about a tenth of the throughput.
-- Growth:  a row per job; a few rows of job_logs per job. Retention (WORKER_RETENTION_DAYS) bounds both.

CREATE SEQUENCE jobworker.lease_tokens AS bigint NO CYCLE;
REVOKE ALL ON SEQUENCE jobworker.lease_tokens FROM PUBLIC;
GRANT USAGE ON SEQUENCE jobworker.lease_tokens TO jobworker;

-- The tables as the application has them, so that a new database and an adopted one end up the same.
CREATE TABLE IF NOT EXISTS public.jobs (
    id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id        uuid REFERENCES public.workspaces ON DELETE CASCADE,
    job_type            varchar(100) NOT NULL,
    job_queue           varchar(50) DEFAULT 'default',
    payload             jsonb NOT NULL,
    status              varchar(20) DEFAULT 'pending',
    priority            int DEFAULT 0,
    attempts            int DEFAULT 0,
    max_attempts        int DEFAULT 5,
    progress            jsonb DEFAULT '{}',
    result              jsonb,
    error_message       text,
    error_stack         text,
    created_at          timestamptz DEFAULT now(),
    scheduled_for       timestamptz,
    started_at          timestamptz,
    completed_at        timestamptz,
    failed_at           timestamptz,
    next_retry_at       timestamptz,
    retry_delay_seconds int DEFAULT 60,
    worker_id           varchar(100),
    worker_heartbeat_at timestamptz,
    created_by          uuid REFERENCES auth.users,
    CONSTRAINT jobs_attempts_within_maximum CHECK (attempts <= max_attempts)
);

CREATE TABLE IF NOT EXISTS public.job_logs (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id     uuid REFERENCES public.jobs ON DELETE CASCADE,
    log_level  varchar(20) NOT NULL,
    message    text NOT NULL,
    metadata   jsonb,
    created_at timestamptz DEFAULT now()
);

-- First the policies: one that reads a column would stop the change of its type.
SELECT jobworker.replace_policies('public.jobs');
SELECT jobworker.replace_policies('public.job_logs');

-- The application's indexes that ours replace. Indexes behind a constraint, unique ones, and those on columns
-- of its own stay.
DO $$
DECLARE
    old regclass;
BEGIN
    FOR old IN
        SELECT i.indexrelid FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'public.jobs'::regclass AND NOT i.indisunique
          AND a.attname IN ('workspace_id', 'status', 'job_queue', 'job_type', 'scheduled_for', 'next_retry_at',
                            'worker_heartbeat_at')
    LOOP
        EXECUTE format('DROP INDEX %s', old);
    END LOOP;
    FOR old IN
        SELECT i.indexrelid FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'public.job_logs'::regclass AND NOT i.indisunique AND a.attname = 'job_id'
    LOOP
        EXECUTE format('DROP INDEX %s', old);
    END LOOP;
END
$$;

SELECT jobworker.convert_times('public.jobs');
SELECT jobworker.convert_times('public.job_logs');

ALTER TABLE public.jobs
    ADD COLUMN IF NOT EXISTS timeout_seconds int,
    ADD COLUMN IF NOT EXISTS unique_key      text,
    ADD COLUMN IF NOT EXISTS workflow_id     uuid,
    ADD COLUMN IF NOT EXISTS schedule_id     uuid,
    ADD COLUMN IF NOT EXISTS replay_of       uuid,
    -- The claim's token: whoever writes about a run names it, so a run whose claim was taken back writes nothing.
    ADD COLUMN IF NOT EXISTS lease_token     bigint,
    -- A process is running this job; stays true after a cancel until that run's end is recorded.
    ADD COLUMN IF NOT EXISTS lease_open      boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS snoozed_since   timestamptz,
    ADD COLUMN IF NOT EXISTS worker_deaths   int NOT NULL DEFAULT 0,
    -- The database role that inserted the row; null for rows older than this column.
    ADD COLUMN IF NOT EXISTS inserted_by     text;

-- The old range of priorities has no room below the normal one. Found by what it is about, not by its name.
DO $$
DECLARE
    old name;
BEGIN
    FOR old IN
        SELECT c.conname FROM pg_catalog.pg_constraint AS c
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attname = 'priority'
        WHERE c.conrelid = 'public.jobs'::regclass AND c.contype = 'c' AND c.conkey = ARRAY[a.attnum]
    LOOP
        EXECUTE format('ALTER TABLE public.jobs DROP CONSTRAINT %I', old);
    END LOOP;

    -- Even a constraint that is NOT VALID refuses the next update of a row that breaks it: such rows could
    -- never be claimed or cancelled again.
    IF EXISTS (SELECT FROM public.jobs WHERE priority NOT BETWEEN -10 AND 10) THEN
        RAISE WARNING 'jobs hold priorities outside -10..10: the range is not enforced on this database';
    ELSE
        ALTER TABLE public.jobs ADD CONSTRAINT jobs_priority_range CHECK (priority BETWEEN -10 AND 10);
    END IF;
END
$$;

ALTER TABLE public.jobs
    -- Rows of the application's may hold any status, or none. What a worker of ours has touched may not.
    ADD CONSTRAINT jobs_status_known CHECK (lease_token IS NULL OR coalesce(status IN
        ('pending', 'blocked', 'processing', 'completed', 'failed', 'dead_letter', 'cancelled'), false)),
    ADD CONSTRAINT jobs_open_lease_has_token CHECK (NOT lease_open OR lease_token IS NOT NULL),
    ADD CONSTRAINT jobs_timeout_positive CHECK (timeout_seconds > 0),
    -- It is part of an index, where an entry has little room.
    ADD CONSTRAINT jobs_unique_key_length CHECK (length(unique_key) BETWEEN 1 AND 255),
    ADD CONSTRAINT jobs_worker_deaths_counted CHECK (worker_deaths >= 0);

-- An update fits into its page: heartbeats and progress then touch no index. The settled majority is
-- vacuumed early, as each dead version of a pending row is one more step for every claim.
ALTER TABLE public.jobs SET (
    fillfactor = 75,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0
);

-- For the claim: what is pending, in the order in which it is to start.
CREATE INDEX jobs_due ON public.jobs (
    coalesce(job_queue, 'default'), coalesce(priority, 0) DESC, greatest(created_at, scheduled_for, next_retry_at), id
) WHERE status = 'pending';
-- For the reaper and for caps on queues: what is running, cancelled runs that haven't ended among them.
CREATE INDEX jobs_processing ON public.jobs (coalesce(job_queue, 'default'), id)
    WHERE status = 'processing' OR lease_open;
-- For lists: a workspace's jobs, newest first.
CREATE INDEX jobs_workspace_newest ON public.jobs (workspace_id, created_at DESC, id DESC);
-- One active job for a key.
CREATE UNIQUE INDEX jobs_unique_key ON public.jobs (workspace_id, job_type, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('pending', 'blocked', 'processing');
-- One job for a tick of a schedule, however many workers see the tick.
CREATE UNIQUE INDEX jobs_schedule_tick ON public.jobs (schedule_id, scheduled_for) WHERE schedule_id IS NOT NULL;
CREATE INDEX jobs_workflow ON public.jobs (workflow_id) WHERE workflow_id IS NOT NULL;

-- created_at is the time of the transaction, so the rows of one tie: seq tells which came first. Rows older than
-- this column keep 0, as a number for each would rewrite the table.
ALTER TABLE public.job_logs ADD COLUMN seq bigint NOT NULL DEFAULT 0;
ALTER TABLE public.job_logs ALTER COLUMN seq DROP DEFAULT;
ALTER TABLE public.job_logs ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY;
CREATE INDEX job_logs_job ON public.job_logs (job_id, created_at, seq);

-- Who did what. No foreign keys: it outlives jobs and workspaces.
CREATE TABLE public.job_audit (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    workspace_id uuid,
    job_id       uuid,
    actor        text NOT NULL,                 -- user:<uuid>, operator:<name>, role:<name>
    via          text NOT NULL DEFAULT 'sql' CHECK (via IN ('sql', 'api', 'cli', 'dashboard', 'worker')),
    action       text NOT NULL,                 -- job.cancel, job.retry, queue.pause, …
    subject      text,                          -- what it was done to, if not a job: a queue's name, an endpoint's id
    details      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX job_audit_workspace ON public.job_audit (workspace_id, id DESC);
CREATE INDEX job_audit_job ON public.job_audit (job_id) WHERE job_id IS NOT NULL;

-- Who acts. current_user is the owner in the functions that write audit rows, so the role is asked for by
-- other means. The program's own requests say for whom they act; a member has no say in that.
CREATE FUNCTION jobworker.acting_role() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END
$$;

CREATE FUNCTION jobworker.acting_name() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        CASE WHEN pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
             THEN nullif(current_setting('jobworker.actor', true), '') END,
        'user:' || jobworker.user_id(),
        'role:' || jobworker.acting_role())
$$;

CREATE FUNCTION jobworker.acting_via() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN pg_has_role(session_user, 'jobworker', 'MEMBER')
                     AND current_setting('jobworker.via', true) IN ('api', 'cli', 'dashboard')
                THEN current_setting('jobworker.via', true) ELSE 'sql' END
$$;

-- For tables that people change: a row for each change. The values stay out of it, as some are secrets.
-- Arguments: what is changed, and the column that tells one from the other.
CREATE FUNCTION jobworker.audit_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before constant jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after constant jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    changed text[];
BEGIN
    SELECT array_agg(n.key ORDER BY n.key) INTO changed
    FROM jsonb_each(after) AS n
    WHERE before IS NOT NULL AND before -> n.key IS DISTINCT FROM n.value AND n.key <> 'updated_at';
    IF TG_OP = 'UPDATE' AND changed IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, subject, details)
    VALUES ((coalesce(after, before) ->> 'workspace_id')::uuid,
            CASE WHEN TG_ARGV[0] = 'job' THEN (coalesce(after, before) ->> 'id')::uuid
                 ELSE (coalesce(after, before) ->> 'job_id')::uuid END,
            jobworker.acting_name(), jobworker.acting_via(),
            TG_ARGV[0] || CASE TG_OP WHEN 'INSERT' THEN '.add' WHEN 'UPDATE' THEN '.change' ELSE '.delete' END,
            coalesce(after, before) ->> TG_ARGV[1],
            jsonb_strip_nulls(jsonb_build_object('columns', changed, 'role', jobworker.acting_role())));
    RETURN NULL;
END
$$;

-- Triggers. Their conditions stand in WHEN: a claim, a heartbeat and a completion call no function.

CREATE FUNCTION jobworker.on_job_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- An explicit null means "the usual": the application's client sends them for what is not set.
    NEW.inserted_by  := current_user;
    NEW.job_queue    := coalesce(NEW.job_queue, 'default');
    NEW.priority     := coalesce(NEW.priority, 0);
    NEW.attempts     := coalesce(NEW.attempts, 0);
    NEW.max_attempts := coalesce(NEW.max_attempts, 5);
    NEW.progress     := coalesce(NEW.progress, '{}');
    NEW.created_at   := coalesce(NEW.created_at, now());
    RETURN NEW;
END
$$;

CREATE TRIGGER jobs_insert BEFORE INSERT ON public.jobs
    FOR EACH ROW EXECUTE FUNCTION jobworker.on_job_insert();

-- Wakes idle workers once per statement and queue. Only a hint: workers also look by themselves.
CREATE FUNCTION jobworker.announce_inserted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('jobworker_due', due.queue)
    FROM (SELECT DISTINCT coalesce(job_queue, 'default') AS queue FROM inserted
          WHERE status = 'pending' AND greatest(created_at, scheduled_for, next_retry_at) <= clock_timestamp()) AS due;
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_announce_inserted AFTER INSERT ON public.jobs
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.announce_inserted();

CREATE FUNCTION jobworker.announce_due() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('jobworker_due', coalesce(NEW.job_queue, 'default'));
    RETURN NULL;
END
$$;

-- A job became due by an update: retried, released, unblocked, moved to an earlier time or another queue, or the run
-- that still held it has ended.
CREATE TRIGGER jobs_announce_due AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (
        NEW.status = 'pending'
        AND (OLD.status IS DISTINCT FROM 'pending'
             OR (OLD.lease_open AND NOT NEW.lease_open)
             OR NEW.scheduled_for IS DISTINCT FROM OLD.scheduled_for
             OR NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at
             OR NEW.priority IS DISTINCT FROM OLD.priority
             OR NEW.job_queue IS DISTINCT FROM OLD.job_queue)
        AND greatest(NEW.created_at, NEW.scheduled_for, NEW.next_retry_at) <= clock_timestamp())
    EXECUTE FUNCTION jobworker.announce_due();

CREATE FUNCTION jobworker.announce_cancelled() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('jobworker_cancel', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_announce_cancelled AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (OLD.status = 'processing' AND NEW.status = 'cancelled')
    EXECUTE FUNCTION jobworker.announce_cancelled();

-- What a member may make of a job by a plain UPDATE, as the application does: cancel it, and try it again.
-- Whatever else the statement sends is overwritten; any other change is refused.
CREATE FUNCTION jobworker.guard_job_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wish public.jobs%ROWTYPE := NEW;
BEGIN
    -- The worker never gets here (see the trigger). The application's server and the table's owner may do anything.
    IF pg_has_role(current_user, 'service_role', 'MEMBER')
       OR pg_has_role(current_user, (SELECT relowner FROM pg_catalog.pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        RETURN NEW;
    END IF;

    NEW := OLD;
    IF wish.status = 'cancelled' AND OLD.status IN ('pending', 'blocked', 'processing') THEN
        NEW.status := 'cancelled';
        NEW.completed_at := clock_timestamp();
        NEW.next_retry_at := NULL;
    ELSIF wish.status = 'pending' AND OLD.status IN ('failed', 'dead_letter', 'cancelled') THEN
        NEW := jobworker.retried(OLD);
    ELSIF wish.status = 'pending' AND OLD.status = 'pending'
          -- retry_job on a job that waits for its time. Whoever sets this without it gets no more than that.
          AND current_setting('jobworker.retry_now', true) = OLD.id::text THEN
        NEW := jobworker.retried(OLD);
    ELSE
        RAISE EXCEPTION 'job % is % and can''t be changed like this', OLD.id, coalesce(OLD.status, 'without a status')
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Members may cancel pending, blocked and running jobs, and retry failed and cancelled ones.';
    END IF;
    RETURN NEW;
END
$$;

-- The row after a retry by hand.
CREATE FUNCTION jobworker.retried(job public.jobs) RETURNS public.jobs
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Due now, whatever it waited for.
    job.next_retry_at := NULL;
    IF job.scheduled_for > now() THEN
        job.scheduled_for := now();
    END IF;
    IF job.status = 'pending' THEN
        RETURN job;
    END IF;
    job.status := 'pending';
    job.attempts := 0;
    job.progress := '{}';
    job.result := NULL;
    job.error_message := NULL;
    job.error_stack := NULL;
    job.started_at := NULL;
    job.completed_at := NULL;
    job.failed_at := NULL;
    job.snoozed_since := NULL;
    job.worker_deaths := 0;
    IF NOT job.lease_open THEN
        -- Else the cancelled run hasn't ended: these tell the next claim to wait for it.
        job.worker_id := NULL;
        job.worker_heartbeat_at := NULL;
        job.lease_token := NULL;
    END IF;
    RETURN job;
END
$$;

CREATE TRIGGER jobs_guard_update BEFORE UPDATE ON public.jobs
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER'))
    EXECUTE FUNCTION jobworker.guard_job_update();

-- Writes down that somebody cancelled or retried a job. Members can't be allowed to write log and audit
-- themselves, so this runs as the owner; it tells who it was by the user of the transaction.
CREATE FUNCTION jobworker.record_job_change(changed public.jobs, old_status text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_cancel constant boolean := changed.status = 'cancelled';
    member constant uuid := jobworker.user_id();
    actor constant text := jobworker.acting_name();
BEGIN
    INSERT INTO public.job_logs (job_id, log_level, message, metadata)
    VALUES (changed.id, 'info',
            CASE WHEN is_cancel THEN 'Cancelled by ' ELSE 'Retried by ' END
                || CASE WHEN actor LIKE 'user:%' THEN 'a member of the workspace'
                        ELSE regexp_replace(actor, '^role:', '') END,
            jsonb_build_object('actor', actor, 'from_status', old_status));

    INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, details)
    VALUES (changed.workspace_id, changed.id, actor, jobworker.acting_via(),
            CASE WHEN is_cancel THEN 'job.cancel' ELSE 'job.retry' END,
            jsonb_build_object('from_status', old_status, 'role', jobworker.acting_role()));

    IF old_status = 'dead_letter' AND NOT is_cancel THEN
        UPDATE public.dead_letter_queue
        SET status = 'resolved', resolved_at = clock_timestamp(), resolved_by_name = actor,
            resolved_by = (SELECT id FROM auth.users WHERE id = member)
        WHERE job_id = changed.id AND status IN ('pending', 'investigating');
    END IF;
END
$$;

CREATE FUNCTION jobworker.on_job_changed_by_hand() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM jobworker.record_job_change(NEW, OLD.status);
    RETURN NULL;
END
$$;

-- Changes by anybody but the worker; it keeps its own records.
CREATE TRIGGER jobs_record_change AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (
        (NEW.status = 'cancelled' AND OLD.status IN ('pending', 'blocked', 'processing')
         OR NEW.status = 'pending' AND OLD.status IN ('failed', 'dead_letter', 'cancelled'))
        AND NOT pg_has_role('jobworker', 'MEMBER'))
    EXECUTE FUNCTION jobworker.on_job_changed_by_hand();

CREATE TRIGGER jobs_record_delete AFTER DELETE ON public.jobs
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER') AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION jobworker.audit_change('job', 'job_type');

-- Cancels a job and returns it. As a member the row policies and the guard decide.
-- P0002: there is no such job, or it isn't the caller's to see. JW409: its state doesn't allow it.
CREATE FUNCTION jobworker.cancel_job(job uuid) RETURNS public.jobs
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_job public.jobs%ROWTYPE;
    old_status text;
BEGIN
    SELECT * INTO found_job FROM public.jobs WHERE id = job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % not found', job USING ERRCODE = 'no_data_found';
    END IF;
    old_status := found_job.status;
    IF old_status IS NULL OR old_status NOT IN ('pending', 'blocked', 'processing') THEN
        RAISE EXCEPTION 'job % is % and can''t be cancelled', job, coalesce(old_status, 'without a status')
            USING ERRCODE = 'JW409';
    END IF;
    UPDATE public.jobs
    SET status = 'cancelled', completed_at = clock_timestamp(), next_retry_at = NULL
    WHERE id = job
    RETURNING * INTO found_job;
    IF pg_has_role('jobworker', 'MEMBER') THEN
        PERFORM jobworker.record_job_change(found_job, old_status);
    END IF;
    RETURN found_job;
END
$$;

-- Makes a failed, set-aside, cancelled or waiting job due now and returns it. Errors as for a cancel; JW409 also where
-- another job with the same unique key has become active.
CREATE FUNCTION jobworker.retry_job(job uuid) RETURNS public.jobs
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_job public.jobs%ROWTYPE;
    again public.jobs%ROWTYPE;
    old_status text;
BEGIN
    SELECT * INTO found_job FROM public.jobs WHERE id = job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % not found', job USING ERRCODE = 'no_data_found';
    END IF;
    old_status := found_job.status;
    IF old_status IS NULL OR old_status NOT IN ('failed', 'dead_letter', 'cancelled', 'pending') THEN
        RAISE EXCEPTION 'job % is % and can''t be retried', job, coalesce(old_status, 'without a status')
            USING ERRCODE = 'JW409';
    END IF;
    IF old_status = 'pending' AND found_job.next_retry_at IS NULL
       AND coalesce(found_job.scheduled_for <= now(), true) THEN
        RETURN found_job;   -- due already
    END IF;
    again := jobworker.retried(found_job);
    BEGIN
        IF has_column_privilege('public.jobs', 'worker_deaths', 'UPDATE') THEN
            UPDATE public.jobs
            SET status = again.status, attempts = again.attempts, progress = again.progress, result = again.result,
                error_message = again.error_message, error_stack = again.error_stack,
                next_retry_at = again.next_retry_at, scheduled_for = again.scheduled_for,
                started_at = again.started_at, completed_at = again.completed_at, failed_at = again.failed_at,
                snoozed_since = again.snoozed_since, worker_deaths = again.worker_deaths, worker_id = again.worker_id,
                worker_heartbeat_at = again.worker_heartbeat_at, lease_token = again.lease_token
            WHERE id = job
            RETURNING * INTO again;
        ELSE
            -- A member's: the guard fills in the rest.
            PERFORM set_config('jobworker.retry_now', job::text, true);
            UPDATE public.jobs SET status = 'pending' WHERE id = job RETURNING * INTO again;
            PERFORM set_config('jobworker.retry_now', '', true);
        END IF;
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'job % can''t be retried: another job with its unique key is active', job
            USING ERRCODE = 'JW409';
    END;
    IF pg_has_role('jobworker', 'MEMBER') AND old_status <> 'pending' THEN
        PERFORM jobworker.record_job_change(again, old_status);
    END IF;
    RETURN again;
END
$$;

-- Changes priority and scheduled_for of a job that waits: {"priority": 5, "scheduled_for": null}. Members may choose the
-- time, admins the priority as well. Runs as the owner, as neither column is a member's to write; the caller's
-- rights are asked for first. P0002 and JW409 as above, 42501 for a member's priority.
CREATE FUNCTION jobworker.reschedule_job(job uuid, changes jsonb) RETURNS public.jobs
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_job public.jobs%ROWTYPE;
    is_trusted constant boolean := pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
        OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER');
BEGIN
    SELECT * INTO found_job FROM public.jobs
    WHERE id = job AND (is_trusted OR jobworker.is_member(workspace_id))
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % not found', job USING ERRCODE = 'no_data_found';
    END IF;
    IF changes ? 'priority' AND NOT is_trusted AND NOT jobworker.is_admin(found_job.workspace_id) THEN
        RAISE EXCEPTION 'only admins of the workspace may change a job''s priority' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF found_job.status IS NULL OR found_job.status NOT IN ('pending', 'blocked') THEN
        RAISE EXCEPTION 'job % is % and doesn''t wait any more', job, coalesce(found_job.status, 'without a status')
            USING ERRCODE = 'JW409';
    END IF;
    UPDATE public.jobs
    SET priority = CASE WHEN changes ? 'priority' THEN coalesce((changes ->> 'priority')::int, 0) ELSE priority END,
        scheduled_for = CASE WHEN changes ? 'scheduled_for' THEN (changes ->> 'scheduled_for')::timestamptz
                             ELSE scheduled_for END
    WHERE id = job
    RETURNING * INTO found_job;
    INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, details)
    VALUES (found_job.workspace_id, job, jobworker.acting_name(), jobworker.acting_via(), 'job.reschedule',
            jsonb_build_object('priority', found_job.priority, 'scheduled_for', found_job.scheduled_for,
                               'role', jobworker.acting_role()));
    RETURN found_job;
END
$$;

-- Whether a job is one of this workspace's, for a member of it. A policy of jobs can't ask jobs itself.
CREATE FUNCTION jobworker.is_job_of(job uuid, workspace uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jobworker.is_member(workspace)
       AND EXISTS (SELECT FROM public.jobs WHERE jobs.id = job AND jobs.workspace_id = workspace)
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA jobworker FROM PUBLIC;
-- `retried` only computes. `record_job_change` must stay out of members' reach: it believes what it is told.
GRANT EXECUTE ON FUNCTION jobworker.cancel_job(uuid), jobworker.retry_job(uuid), jobworker.retried(public.jobs),
    jobworker.reschedule_job(uuid, jsonb), jobworker.is_job_of(uuid, uuid)
    TO authenticated, service_role, jobworker;
GRANT EXECUTE ON FUNCTION jobworker.record_job_change(public.jobs, text) TO jobworker;

-- Rights.
-- Not forced on the owner: an owner that is bound sees no rows and gets no error.
ALTER TABLE public.jobs ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.job_logs ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.job_audit ENABLE ROW LEVEL SECURITY;
SELECT jobworker.revoke_all(t) FROM unnest(ARRAY['public.jobs', 'public.job_logs', 'public.job_audit']::regclass[]) AS t;

GRANT SELECT, DELETE ON public.jobs TO authenticated;
GRANT INSERT (workspace_id, job_type, payload, job_queue, priority, scheduled_for, status, attempts, max_attempts,
              progress, created_by, timeout_seconds, unique_key, replay_of) ON public.jobs TO authenticated;
-- What the application writes when it cancels or retries. The guard allows only that.
GRANT UPDATE (status, completed_at, attempts, error_message, error_stack, next_retry_at, failed_at, started_at,
              progress, result) ON public.jobs TO authenticated;
GRANT SELECT ON public.job_logs, public.job_audit TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.jobs, public.job_logs TO service_role, jobworker;
GRANT SELECT, INSERT ON public.job_audit TO service_role, jobworker;
-- Rows of a workspace that is gone, or older than anybody asks for.
GRANT DELETE ON public.job_audit TO jobworker;

CREATE POLICY jobworker_worker ON public.jobs TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.jobs TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_member_select ON public.jobs FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
CREATE POLICY jobworker_member_insert ON public.jobs FOR INSERT TO authenticated
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces()))
                AND status = 'pending' AND attempts = 0 AND max_attempts BETWEEN 1 AND 10 AND progress = '{}'
                AND (created_by IS NULL OR created_by = (SELECT jobworker.user_id()))
                AND (replay_of IS NULL OR jobworker.is_job_of(replay_of, workspace_id))
                -- No worker would read more.
                AND pg_column_size(payload) <= 4194304);
CREATE POLICY jobworker_member_update ON public.jobs FOR UPDATE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())))
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
-- Not under the feet of a worker: cancel it first.
CREATE POLICY jobworker_admin_delete ON public.jobs FOR DELETE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces()))
           AND status IS DISTINCT FROM 'processing' AND NOT lease_open);

CREATE POLICY jobworker_worker ON public.job_logs TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_logs TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_member_select ON public.job_logs FOR SELECT TO authenticated
    USING (EXISTS (SELECT FROM public.jobs WHERE jobs.id = job_logs.job_id
                   AND jobs.workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces()))));

CREATE POLICY jobworker_worker ON public.job_audit TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_audit TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_admin_select ON public.job_audit FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));

-- The application's job page follows updates through Realtime.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'supabase_realtime' AND NOT puballtables)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_tables
                       WHERE pubname = 'supabase_realtime' AND schemaname = 'public' AND tablename = 'jobs') THEN
        BEGIN
            ALTER PUBLICATION supabase_realtime ADD TABLE public.jobs;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING '% may not change the publication supabase_realtime; %', current_user,
                'as its owner run: ALTER PUBLICATION supabase_realtime ADD TABLE public.jobs';
        END;
    END IF;
END
$$;
