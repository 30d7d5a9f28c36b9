-- 0011: the audit tells what each change was: before, after, and the reason that was given.
-- Locks:   job_audit, job_workers, jobs, job_queues, workspace_settings against everything, for a moment.
-- Rollout: before the workers of this version. Earlier ones go on; what operators change through them is written
--          without the values.
-- Growth:  job_audit gets a row for each job that a person adds, one for all where a statement adds more than 100.
--          Nothing clears it by itself.

ALTER TABLE public.job_audit
    ADD COLUMN before jsonb,                        -- the fields that changed, as they were; null: it wasn't there
    ADD COLUMN after  jsonb,                        -- the same as they are; null: it is gone
    ADD COLUMN reason text;                         -- as the person gave it
-- For what was done since a time, or until one. Everything else is found by workspace or by job.
CREATE INDEX job_audit_time ON public.job_audit (created_at);

-- Types that a worker takes from operators alone.
ALTER TABLE public.job_workers ADD COLUMN operator_types text[] NOT NULL DEFAULT '{}';

-- Why the person does it. Anybody may say so about their own change.
CREATE FUNCTION jobworker.acting_reason() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(left(btrim(current_setting('jobworker.reason', true)), 1000), '')
$$;

-- A row as the audit keeps it: no secrets, nothing of payloads and results, no bookkeeping, no long texts.
CREATE FUNCTION jobworker.auditable(entry jsonb, secret text DEFAULT '(secret)') RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_object_agg(key, CASE
               WHEN value = 'null' THEN value
               WHEN key ~ '(secret|encrypted|token|password)' THEN to_jsonb(secret)
               WHEN key IN ('payload', 'progress', 'result', 'error_stack', 'stack_trace')
                   THEN to_jsonb('(left out)'::text)
               WHEN jsonb_typeof(value) = 'string' THEN to_jsonb(left(value #>> '{}', 500))
               WHEN octet_length(value::text) > 2000 THEN to_jsonb('(left out)'::text)
               ELSE value END), '{}')
    FROM jsonb_each(entry)
    WHERE key NOT IN ('updated_at', 'lease_token', 'lease_open', 'worker_heartbeat_at', 'retry_delay_seconds')
$$;

-- Writes one row about a change; nothing where nothing changed. Whoever may call it is believed.
CREATE FUNCTION jobworker.audit(action text, subject text, workspace uuid, job uuid, before jsonb, after jsonb)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fields text[];
    old_fields jsonb;
    new_fields jsonb;
    old_key constant text := substring(before ->> 'apollo_api_key_encrypted' FROM '^v1:([^:]*):');
    new_key constant text := substring(after ->> 'apollo_api_key_encrypted' FROM '^v1:([^:]*):');
BEGIN
    IF before IS NOT NULL AND after IS NOT NULL THEN
        SELECT array_agg(n.key) INTO fields FROM jsonb_each(after) AS n
        WHERE before -> n.key IS DISTINCT FROM n.value;
        old_fields := jobworker.auditable((SELECT jsonb_object_agg(key, value) FROM jsonb_each(before) WHERE key = ANY (fields)));
        new_fields := jobworker.auditable((SELECT jsonb_object_agg(key, value) FROM jsonb_each(after) WHERE key = ANY (fields)), '(another secret)');
        IF new_fields = '{}' THEN
            RETURN;
        END IF;
    ELSE
        -- Added or gone: all that it had.
        old_fields := jobworker.auditable(jsonb_strip_nulls(before));
        new_fields := jobworker.auditable(jsonb_strip_nulls(after));
        IF before IS NULL THEN old_fields := NULL; END IF;
        IF after IS NULL THEN new_fields := NULL; END IF;
    END IF;
    -- Under which key it is encrypted is no secret, and all that a rotation changes.
    IF old_key IS DISTINCT FROM new_key THEN
        old_fields := old_fields || jsonb_build_object('encryption_key', old_key);
        new_fields := new_fields || jsonb_build_object('encryption_key', new_key);
    END IF;
    INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, subject, details, before, after, reason)
    VALUES (workspace, job, jobworker.acting_name(), jobworker.acting_via(), audit.action, left(audit.subject, 500),
            jsonb_strip_nulls(jsonb_build_object(
                'role', jobworker.acting_role(), 'from_status', CASE WHEN job IS NOT NULL THEN before ->> 'status' END)),
            old_fields, new_fields, jobworker.acting_reason());
END
$$;

-- For tables that people change: a row for each change, with the values. Arguments: what is changed, and the column
-- that tells one from the other.
CREATE OR REPLACE FUNCTION jobworker.audit_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before constant jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after constant jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    entry constant jsonb := coalesce(after, before);
    named text;
BEGIN
    -- The program may have a better word for what it does.
    IF pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER') THEN
        named := nullif(current_setting('jobworker.action', true), '');
    END IF;
    PERFORM jobworker.audit(
        coalesce(named, TG_ARGV[0] || CASE TG_OP WHEN 'INSERT' THEN '.add' WHEN 'UPDATE' THEN '.change' ELSE '.delete' END),
        entry ->> TG_ARGV[1], (entry ->> 'workspace_id')::uuid,
        CASE WHEN TG_ARGV[0] = 'job' THEN (entry ->> 'id')::uuid ELSE (entry ->> 'job_id')::uuid END, before, after);
    RETURN NULL;
END
$$;

-- Queues.
CREATE FUNCTION jobworker.audit_queue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was_paused constant boolean := TG_OP <> 'INSERT' AND OLD.paused_at IS NOT NULL;
    is_paused constant boolean := TG_OP <> 'DELETE' AND NEW.paused_at IS NOT NULL;
BEGIN
    PERFORM jobworker.audit(
        CASE WHEN TG_OP = 'DELETE' THEN 'queue.delete' WHEN is_paused AND NOT was_paused THEN 'queue.pause'
             WHEN was_paused AND NOT is_paused THEN 'queue.resume' ELSE 'queue.set' END,
        coalesce(NEW.name, OLD.name), NULL, NULL,
        CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
END
$$;
-- By anybody but the program on its own behalf; it says for whom it acts.
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON public.job_queues
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER') OR current_setting('jobworker.actor', true) <> '')
    EXECUTE FUNCTION jobworker.audit_queue();

-- Settings.
DROP TRIGGER audit_change ON public.workspace_settings;
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OF apollo_api_key_encrypted, apollo_api_key_hint, apollo_auto_enrich
    ON public.workspace_settings
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER') OR current_setting('jobworker.actor', true) <> '')
    EXECUTE FUNCTION jobworker.audit_change('settings', 'workspace_id');

-- Jobs: added.
CREATE FUNCTION jobworker.audit_added() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
<<own>>
DECLARE
    actor constant text := jobworker.acting_name();
    via constant text := jobworker.acting_via();
    details constant jsonb := jsonb_build_object('role', jobworker.acting_role());
    reason constant text := jobworker.acting_reason();
BEGIN
    -- The application's server adds what it needs; that is no person.
    IF own.actor LIKE 'role:%' THEN
        RETURN NULL;
    END IF;
    -- Each name says whose it is: the application may have columns of its own.
    IF (SELECT count(*) FROM (SELECT FROM inserted LIMIT 101) AS few) <= 100 THEN
        INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, subject, details, after, reason)
        SELECT i.workspace_id, i.id, own.actor, own.via,
               CASE WHEN i.replay_of IS NULL THEN 'job.add' ELSE 'job.replay' END, i.job_type, own.details,
               jsonb_strip_nulls(jsonb_build_object(
                   'job_type', i.job_type, 'job_queue', i.job_queue, 'status', i.status, 'priority', i.priority,
                   'scheduled_for', i.scheduled_for, 'max_attempts', i.max_attempts,
                   'timeout_seconds', i.timeout_seconds, 'unique_key', i.unique_key, 'replay_of', i.replay_of)),
               own.reason
        FROM inserted AS i
        -- Of a schedule's job it is the schedule's name that tells.
        WHERE i.schedule_id IS NULL;
    ELSE
        INSERT INTO public.job_audit (workspace_id, actor, via, action, subject, details, after, reason)
        SELECT i.workspace_id, own.actor, own.via, 'job.add',
               CASE WHEN min(i.job_type) = max(i.job_type) THEN min(i.job_type) END, own.details,
               jsonb_build_object('jobs', count(*), 'job_types', (array_agg(DISTINCT i.job_type))[:20]),
               own.reason
        FROM inserted AS i GROUP BY i.workspace_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_audit_added AFTER INSERT ON public.jobs
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT WHEN (NOT pg_has_role('jobworker', 'MEMBER') OR current_setting('jobworker.actor', true) <> '')
    EXECUTE FUNCTION jobworker.audit_added();

-- Jobs: cancelled and retried. Whatever else the row's change says is the same as before.
DROP TRIGGER jobs_record_change ON public.jobs;
DROP FUNCTION jobworker.on_job_changed_by_hand();
DROP FUNCTION jobworker.record_job_change(public.jobs, text);

-- Writes down that somebody cancelled or retried a job. Members can't be allowed to write log and audit
-- themselves, so this runs as the owner; it tells who it was by the user of the transaction.
CREATE FUNCTION jobworker.record_job_change(changed public.jobs, previous public.jobs) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_cancel constant boolean := changed.status = 'cancelled';
    member constant uuid := jobworker.user_id();
    actor constant text := jobworker.acting_name();
    reason constant text := jobworker.acting_reason();
BEGIN
    INSERT INTO public.job_logs (job_id, log_level, message, metadata)
    VALUES (changed.id, 'info',
            CASE WHEN is_cancel THEN 'Cancelled by ' ELSE 'Retried by ' END
                || CASE WHEN actor LIKE 'user:%' THEN 'a member of the workspace'
                        ELSE regexp_replace(actor, '^role:', '') END
                || coalesce(': ' || reason, ''),
            jsonb_build_object('actor', actor, 'from_status', previous.status));
    PERFORM jobworker.audit(CASE WHEN is_cancel THEN 'job.cancel' ELSE 'job.retry' END, changed.job_type,
                            changed.workspace_id, changed.id, to_jsonb(previous), to_jsonb(changed));

    IF previous.status = 'dead_letter' AND NOT is_cancel THEN
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
    PERFORM jobworker.record_job_change(NEW, OLD);
    RETURN NULL;
END
$$;

-- Changes by anybody but the worker; it keeps its own records. A waiting job that is made due now is one, too.
CREATE TRIGGER jobs_record_change AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (
        (NEW.status = 'cancelled' AND OLD.status IN ('pending', 'blocked', 'processing')
         OR NEW.status = 'pending' AND OLD.status IN ('failed', 'dead_letter', 'cancelled')
         OR NEW.status = 'pending' AND OLD.status = 'pending'
            AND current_setting('jobworker.retry_now', true) = NEW.id::text)
        AND NOT pg_has_role('jobworker', 'MEMBER'))
    EXECUTE FUNCTION jobworker.on_job_changed_by_hand();

CREATE OR REPLACE FUNCTION jobworker.cancel_job(job uuid) RETURNS public.jobs
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_job public.jobs%ROWTYPE;
    changed public.jobs%ROWTYPE;
BEGIN
    SELECT * INTO found_job FROM public.jobs WHERE id = job FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % not found', job USING ERRCODE = 'no_data_found';
    END IF;
    IF found_job.status IS NULL OR found_job.status NOT IN ('pending', 'blocked', 'processing') THEN
        RAISE EXCEPTION 'job % is % and can''t be cancelled', job, coalesce(found_job.status, 'without a status')
            USING ERRCODE = 'JW409';
    END IF;
    UPDATE public.jobs
    SET status = 'cancelled', completed_at = clock_timestamp(), next_retry_at = NULL
    WHERE id = job
    RETURNING * INTO changed;
    IF pg_has_role('jobworker', 'MEMBER') THEN
        PERFORM jobworker.record_job_change(changed, found_job);
    END IF;
    RETURN changed;
END
$$;

CREATE OR REPLACE FUNCTION jobworker.retry_job(job uuid) RETURNS public.jobs
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
    IF pg_has_role('jobworker', 'MEMBER') THEN
        PERFORM jobworker.record_job_change(again, found_job);
    END IF;
    RETURN again;
END
$$;

-- Moved in time or priority.
CREATE OR REPLACE FUNCTION jobworker.reschedule_job(job uuid, changes jsonb) RETURNS public.jobs
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_job public.jobs%ROWTYPE;
    changed public.jobs%ROWTYPE;
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
    RETURNING * INTO changed;
    PERFORM jobworker.audit('job.reschedule', changed.job_type, changed.workspace_id, job, to_jsonb(found_job),
                            to_jsonb(changed));
    RETURN changed;
END
$$;

CREATE OR REPLACE FUNCTION jobworker.set_aside_job(job uuid) RETURNS public.jobs
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_job public.jobs%ROWTYPE;
    changed public.jobs%ROWTYPE;
    is_trusted constant boolean := pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
        OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER');
BEGIN
    SELECT * INTO found_job FROM public.jobs
    WHERE id = job AND (is_trusted OR jobworker.is_member(workspace_id))
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % not found', job USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT is_trusted AND NOT jobworker.is_admin(found_job.workspace_id) THEN
        RAISE EXCEPTION 'only admins of the workspace set jobs aside' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF found_job.status IS DISTINCT FROM 'failed' THEN
        RAISE EXCEPTION 'job % is % and can''t be set aside', job, coalesce(found_job.status, 'without a status')
            USING ERRCODE = 'JW409';
    END IF;
    UPDATE public.jobs SET status = 'dead_letter' WHERE id = job RETURNING * INTO changed;
    INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type, payload, error_message, stack_trace, attempts,
                                          failed_at)
    VALUES (changed.workspace_id, job, changed.job_type, changed.payload, changed.error_message, changed.error_stack,
            coalesce(changed.attempts, 0), coalesce(changed.failed_at, clock_timestamp()));
    PERFORM jobworker.audit('job.set_aside', changed.job_type, changed.workspace_id, job, to_jsonb(found_job),
                            to_jsonb(changed));
    RETURN changed;
END
$$;

CREATE OR REPLACE FUNCTION jobworker.delete_job(job uuid) RETURNS public.jobs
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_job public.jobs%ROWTYPE;
BEGIN
    SELECT * INTO found_job FROM public.jobs WHERE id = job FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % not found', job USING ERRCODE = 'no_data_found';
    END IF;
    IF found_job.status IS NULL OR found_job.status NOT IN ('completed', 'failed', 'dead_letter', 'cancelled') THEN
        RAISE EXCEPTION 'job % is % and can''t be deleted: cancel it first', job,
            coalesce(found_job.status, 'without a status') USING ERRCODE = 'JW409';
    END IF;
    IF found_job.lease_open THEN
        RAISE EXCEPTION 'job % is %, but its run hasn''t ended yet', job, found_job.status USING ERRCODE = 'JW409';
    END IF;
    DELETE FROM public.jobs WHERE id = job;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only admins of the workspace delete jobs' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF found_job.status = 'dead_letter' THEN
        UPDATE public.dead_letter_queue
        SET status = 'ignored', resolved_at = clock_timestamp(), resolved_by_name = jobworker.acting_name()
        WHERE job_id = job AND status IN ('pending', 'investigating');
    END IF;
    IF pg_has_role('jobworker', 'MEMBER') THEN
        -- For everybody else a trigger does this.
        PERFORM jobworker.audit('job.delete', found_job.job_type, found_job.workspace_id, job, to_jsonb(found_job), NULL);
    END IF;
    RETURN found_job;
END
$$;

-- Requests of several transactions: what they have done so far, so that the same request goes on with it.
ALTER TABLE jobworker.api_requests ADD COLUMN progress jsonb;

REVOKE ALL ON FUNCTION jobworker.acting_reason(), jobworker.auditable(jsonb, text),
    jobworker.audit(text, text, uuid, uuid, jsonb, jsonb), jobworker.audit_queue(), jobworker.audit_added(),
    jobworker.record_job_change(public.jobs, public.jobs), jobworker.on_job_changed_by_hand() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.audit(text, text, uuid, uuid, jsonb, jsonb),
    jobworker.record_job_change(public.jobs, public.jobs) TO jobworker;
