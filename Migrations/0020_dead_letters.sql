-- 0020: dead letters are filled by the database, failed jobs are grouped by their error, changes of many jobs are carried
--       out bit by bit, and what is old goes into an archive.
-- Locks:   jobs, job_queues and dead_letter_queue against everything, for a moment; then the rows of failed jobs, while
--          each gets its group: some ten seconds per hundred thousand.
-- Rollout: before the workers of this version. Earlier ones go on, and their failures are grouped as well.
-- Growth:  a row of job_operation_items for each job of an operation, gone a week after its end; jobs_archive, if it is
--          asked for, a row for each job that retention takes. Drop old months of it with DROP TABLE.
-- Cost:    a job that goes well meets conditions of triggers, and no function.

-- An error without what differs from one job to the next: ids, numbers, quoted parts, hosts and addresses.
CREATE FUNCTION jobworker.error_pattern(message text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT left(btrim(
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
            left(coalesce(message, ''), 500),
            '[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}', '<id>', 'g'),
            '"[^"]*"|(?<![[:alnum:]])''[^'']*''(?![[:alnum:]])|“[^”]*”|`[^`]*`', '<text>', 'g'),
            '[a-zA-Z][a-zA-Z0-9+.-]*://[^[:space:]<>]+|[^[:space:]@<>]+@[a-zA-Z0-9.-]+|\m([a-zA-Z0-9-]+\.)+[a-zA-Z]{2,24}(:[0-9]+)?\M', '<host>', 'g'),
            '\m[0-9a-fA-F]*[0-9][0-9a-fA-F]*[a-fA-F][0-9a-fA-F]{6,}\M|\m0x[0-9a-fA-F]+', '<id>', 'g'),
            '[0-9]+', '#', 'g'),
            '[[:space:]]+', ' ', 'g')), 300)
$$;

-- A short name for jobs of one type that failed in the same way.
CREATE FUNCTION jobworker.error_group(job_type text, pattern text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT left(md5(job_type || E'\n' || coalesce(pattern, '')), 12)
$$;

ALTER TABLE public.jobs
    ADD COLUMN error_pattern text,          -- of the last failure for good
    ADD COLUMN error_group   text;

CREATE FUNCTION jobworker.on_job_failed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.error_pattern := jobworker.error_pattern(NEW.error_message);
    NEW.error_group := jobworker.error_group(NEW.job_type, NEW.error_pattern);
    RETURN NEW;
END
$$;
CREATE TRIGGER jobs_group_error BEFORE UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status IN ('failed', 'dead_letter')
                       AND (OLD.status IS DISTINCT FROM NEW.status AND OLD.status IS DISTINCT FROM 'failed'
                            OR NEW.error_group IS NULL OR NEW.error_message IS DISTINCT FROM OLD.error_message))
    EXECUTE FUNCTION jobworker.on_job_failed();
CREATE TRIGGER jobs_group_error_added BEFORE INSERT ON public.jobs
    FOR EACH ROW WHEN (NEW.status IN ('failed', 'dead_letter'))
    EXECUTE FUNCTION jobworker.on_job_failed();
-- For groups of errors and the jobs of one. A job that goes well never enters it.
CREATE INDEX jobs_error_group ON public.jobs (error_group, failed_at DESC, id DESC)
    WHERE status IN ('failed', 'dead_letter');
-- Rows of earlier times. One that breaks a check of the application's stays as it is, in a group with the others.
DO $$
DECLARE
    job uuid;
BEGIN
    FOR job IN SELECT id FROM public.jobs WHERE status IN ('failed', 'dead_letter') AND error_group IS NULL LOOP
        BEGIN
            UPDATE public.jobs SET error_group = NULL WHERE id = job;
        EXCEPTION WHEN check_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- Dead letters: the row is written by whoever moves the job, in the same transaction.
CREATE FUNCTION jobworker.on_dead_letter() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type, payload, error_message, stack_trace, attempts,
                                          failed_at)
    VALUES (NEW.workspace_id, NEW.id, NEW.job_type, NEW.payload, NEW.error_message, NEW.error_stack,
            coalesce(NEW.attempts, 0), coalesce(NEW.failed_at, clock_timestamp()));
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_dead_letter AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status = 'dead_letter' AND OLD.status IS DISTINCT FROM 'dead_letter')
    EXECUTE FUNCTION jobworker.on_dead_letter();

-- Settled: tried again, or gone. The note is the reason that was given.
CREATE FUNCTION jobworker.on_dead_letter_settled() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.dead_letter_queue
    SET status = CASE TG_OP WHEN 'DELETE' THEN 'ignored' ELSE 'resolved' END,
        resolved_at = clock_timestamp(), resolved_by_name = jobworker.acting_name(),
        resolved_by = (SELECT id FROM auth.users WHERE id = jobworker.user_id()),
        resolution_notes = coalesce(jobworker.acting_reason(), resolution_notes)
    WHERE job_id = OLD.id AND status IN ('pending', 'investigating');
    RETURN NULL;
END
$$;
-- Their names sort before the trigger that records the change: it finds nothing left to settle.
CREATE TRIGGER jobs_dead_letter_resolved AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (OLD.status = 'dead_letter' AND NEW.status IS DISTINCT FROM 'dead_letter')
    EXECUTE FUNCTION jobworker.on_dead_letter_settled();
CREATE TRIGGER jobs_dead_letter_ignored AFTER DELETE ON public.jobs
    FOR EACH ROW WHEN (OLD.status = 'dead_letter')
    EXECUTE FUNCTION jobworker.on_dead_letter_settled();

-- A queue's option: what has failed for good is set aside at once.
CREATE FUNCTION jobworker.set_failed_aside() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM public.job_queues AS queue
               WHERE queue.name = coalesce(NEW.job_queue, 'default') AND queue.dead_letter) THEN
        UPDATE public.jobs SET status = 'dead_letter' WHERE id = NEW.id AND status = 'failed';
        INSERT INTO public.job_logs (job_id, log_level, message, metadata)
        VALUES (NEW.id, 'info', 'Set aside as a dead letter, as its queue has it',
                jsonb_build_object('queue', coalesce(NEW.job_queue, 'default')));
    END IF;
    RETURN NULL;
END
$$;
-- Its name sorts last: what else looks at a failure has seen it before.
CREATE TRIGGER jobs_zz_set_failed_aside AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status = 'failed' AND OLD.status IS DISTINCT FROM 'failed')
    EXECUTE FUNCTION jobworker.set_failed_aside();

-- As in 0011, without the row of dead_letter_queue; the trigger writes it.
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
    PERFORM jobworker.audit('job.set_aside', changed.job_type, changed.workspace_id, job, to_jsonb(found_job),
                            to_jsonb(changed));
    RETURN changed;
END
$$;

-- Changes of many jobs, carried out by the workers, some at a time: they outlive the command that asked for them.
CREATE TABLE public.job_operations (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id   uuid REFERENCES public.workspaces ON DELETE CASCADE,   -- null: jobs of several
    action         text NOT NULL CHECK (action IN ('retry', 'replay', 'discard', 'dead_letter')),
    state          text NOT NULL DEFAULT 'running'
                       CHECK (state IN ('running', 'paused', 'stopped', 'done', 'aborted')),
    state_reason   text,                            -- why it was stopped or paused
    payload        jsonb,                           -- replay: in place of each job's own
    changes        jsonb NOT NULL DEFAULT '[]',     -- replay: [{"path": ["a", "b"], "value": …}], into each payload
    rate           float8 CHECK (rate > 0 AND rate <= 100000),            -- jobs a second; null: as fast as they go
    canary         int CHECK (canary > 0),          -- so many first; the rest when all of them have ended well enough
    stop_on_errors float8 CHECK (stop_on_errors >= 0 AND stop_on_errors <= 100),  -- percent of those that have ended
    reason         text,
    actor          text NOT NULL,
    via            text NOT NULL,
    member         uuid,                            -- whose rights it needs until its end; null: an operator's
    total          int NOT NULL DEFAULT 0,
    taken          int NOT NULL DEFAULT 0,          -- items done with, in their order
    changed        int NOT NULL DEFAULT 0,
    skipped        int NOT NULL DEFAULT 0,
    succeeded      int NOT NULL DEFAULT 0,          -- of the jobs that were started: completed
    failed         int NOT NULL DEFAULT 0,          -- the same: failed, dead_letter, cancelled, or gone
    is_canary_over boolean NOT NULL DEFAULT false,
    credit         float8 NOT NULL DEFAULT 0,       -- jobs that the rate allows now
    stepped_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at       timestamptz
);
CREATE INDEX job_operations_running ON public.job_operations (id) WHERE state = 'running';
CREATE INDEX job_operations_newest ON public.job_operations (created_at DESC, id DESC);
CREATE INDEX job_operations_workspace ON public.job_operations (workspace_id, created_at DESC);

CREATE TABLE public.job_operation_items (
    operation_id uuid NOT NULL REFERENCES public.job_operations ON DELETE CASCADE,
    position     int NOT NULL,
    job_id       uuid NOT NULL,
    new_job_id   uuid,                              -- replay: the job that was added
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'changed', 'skipped')),
    outcome      text CHECK (outcome IN ('succeeded', 'failed')),
    note         text,                              -- why it was skipped
    PRIMARY KEY (operation_id, position)
);
-- For what was started and has not ended.
CREATE INDEX job_operation_items_open ON public.job_operation_items (operation_id, position)
    WHERE state = 'changed' AND outcome IS NULL;
CREATE INDEX job_operation_items_skipped ON public.job_operation_items (operation_id, position)
    WHERE state = 'skipped';

ALTER TABLE public.job_operations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.job_operation_items ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.job_operations, public.job_operation_items FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.job_operations, public.job_operation_items TO service_role, jobworker;
GRANT SELECT ON public.job_operations, public.job_operation_items TO authenticated;
CREATE POLICY jobworker_worker ON public.job_operations TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_operations TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_admin_select ON public.job_operations FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
CREATE POLICY jobworker_worker ON public.job_operation_items TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_operation_items TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_admin_select ON public.job_operation_items FOR SELECT TO authenticated
    USING (EXISTS (SELECT FROM public.job_operations AS operation WHERE operation.id = operation_id
                   AND operation.workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces()))));

-- A payload with other values at some paths; a part of a path that is missing is made.
CREATE FUNCTION jobworker.changed_payload(payload jsonb, changes jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    change jsonb;
    place text[];
BEGIN
    FOR change IN SELECT value FROM jsonb_array_elements(coalesce(changes, '[]')) LOOP
        place := ARRAY(SELECT jsonb_array_elements_text(change -> 'path'));
        FOR depth IN 1..cardinality(place) - 1 LOOP
            IF jsonb_typeof(payload #> place[1:depth]) IS NULL THEN
                payload := jsonb_set(payload, place[1:depth], '{}', true);
            END IF;
        END LOOP;
        payload := jsonb_set(payload, place, change -> 'value', true);
    END LOOP;
    RETURN payload;
END
$$;

-- Begins an operation on these jobs, in this order. Options: payload, changes, rate, canary, stop_on_errors. For the
-- program, and for admins of the one workspace of the jobs (42501).
CREATE FUNCTION jobworker.start_operation(action text, jobs uuid[], options jsonb DEFAULT '{}')
RETURNS public.job_operations
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    begun public.job_operations%ROWTYPE;
    workspaces uuid[];
    -- An owner would be a member of every role: who acts is asked, not as whom this runs.
    is_trusted constant boolean := pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
        OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER');
BEGIN
    SELECT array_agg(DISTINCT found.workspace_id) INTO workspaces
    FROM unnest(start_operation.jobs) AS wanted (id) JOIN public.jobs AS found ON found.id = wanted.id;
    IF NOT is_trusted AND (coalesce(cardinality(workspaces), 0) <> 1 OR workspaces[1] IS NULL
                           OR NOT jobworker.is_admin(workspaces[1])) THEN
        RAISE EXCEPTION 'an operation is for admins, on jobs of one workspace' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO public.job_operations (workspace_id, action, payload, changes, rate, canary, stop_on_errors, reason,
                                       actor, via, member, total)
    VALUES (CASE WHEN cardinality(workspaces) = 1 THEN workspaces[1] END, start_operation.action,
            nullif(options -> 'payload', 'null'), coalesce(options -> 'changes', '[]'), (options ->> 'rate')::float8,
            (options ->> 'canary')::int, (options ->> 'stop_on_errors')::float8, jobworker.acting_reason(),
            jobworker.acting_name(), jobworker.acting_via(), CASE WHEN NOT is_trusted THEN jobworker.user_id() END,
            cardinality(start_operation.jobs))
    RETURNING * INTO begun;
    INSERT INTO public.job_operation_items (operation_id, position, job_id)
    SELECT begun.id, wanted.position, wanted.id FROM unnest(start_operation.jobs) WITH ORDINALITY AS wanted (id, position);
    IF begun.total = 0 THEN
        UPDATE public.job_operations SET state = 'done', ended_at = clock_timestamp()
        WHERE id = begun.id RETURNING * INTO begun;
    END IF;
    -- A worker looks at once; the payload tells it apart from a cancel.
    PERFORM pg_notify('jobworker_cancel', 'operations');
    PERFORM jobworker.audit('operation.start', begun.id::text, begun.workspace_id, NULL, NULL,
                            jsonb_build_object('action', begun.action, 'total', begun.total, 'rate', begun.rate,
                                               'canary', begun.canary, 'stop_on_errors', begun.stop_on_errors));
    RETURN begun;
END
$$;

-- pause, resume, abort. P0002: not found, or not the caller's; JW409: its state doesn't allow it. Resuming one that its
-- own rule stopped says that it may go on: its errors count anew, and a canary is over.
CREATE FUNCTION jobworker.control_operation(operation uuid, wish text) RETURNS public.job_operations
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_one public.job_operations%ROWTYPE;
    changed public.job_operations%ROWTYPE;
    is_trusted constant boolean := pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
        OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER');
BEGIN
    SELECT * INTO found_one FROM public.job_operations
    WHERE id = operation AND (is_trusted OR jobworker.is_admin(workspace_id)) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'operation % not found', operation USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT coalesce((CASE wish WHEN 'pause' THEN found_one.state = 'running'
                               WHEN 'resume' THEN found_one.state IN ('paused', 'stopped')
                               WHEN 'abort' THEN found_one.state IN ('running', 'paused', 'stopped') END), false) THEN
        RAISE EXCEPTION 'operation % is % and can''t be %', operation, found_one.state,
            CASE wish WHEN 'pause' THEN 'paused' WHEN 'resume' THEN 'resumed' ELSE 'aborted' END USING ERRCODE = 'JW409';
    END IF;
    UPDATE public.job_operations
    SET state = CASE wish WHEN 'pause' THEN 'paused' WHEN 'resume' THEN 'running' ELSE 'aborted' END,
        state_reason = jobworker.acting_reason(),
        ended_at = CASE WHEN wish = 'abort' THEN clock_timestamp() END,
        stepped_at = clock_timestamp(), credit = 0,
        succeeded = CASE WHEN found_one.state = 'stopped' THEN 0 ELSE succeeded END,
        failed = CASE WHEN found_one.state = 'stopped' THEN 0 ELSE failed END,
        is_canary_over = is_canary_over OR found_one.state = 'stopped'
    WHERE id = operation RETURNING * INTO changed;
    PERFORM pg_notify('jobworker_cancel', 'operations');
    PERFORM jobworker.audit('operation.' || wish, operation::text, changed.workspace_id, NULL,
                            jsonb_build_object('state', found_one.state), jsonb_build_object('state', changed.state));
    RETURN changed;
END
$$;

-- One step of one operation: looks how the started jobs ended, applies canary and stop rule, and takes as many items as
-- the rate allows. Returns whether there is another step to do soon. Several workers may call it at once: an operation
-- is stepped by one, and the rate is counted in its row.
CREATE FUNCTION jobworker.step_operations(batch int DEFAULT 50) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := clock_timestamp();
    op public.job_operations%ROWTYPE;
    one record;
    room int;
    ended int;
    ended_well int;
    added uuid;
    verdict text;
    why text;
BEGIN
    -- The one that waited longest for a step.
    SELECT * INTO op FROM public.job_operations WHERE state = 'running' ORDER BY stepped_at LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN EXISTS (SELECT FROM public.job_operations WHERE state = 'running');
    END IF;

    -- On whose behalf, and whether that person still may.
    PERFORM set_config('jobworker.actor', op.actor, true), set_config('jobworker.via', op.via, true),
            set_config('jobworker.reason', coalesce(op.reason, ''), true);
    IF op.member IS NOT NULL THEN
        PERFORM set_config('request.jwt.claims',
                           jsonb_build_object('sub', op.member, 'role', 'authenticated')::text, true);
        IF NOT jobworker.is_admin(op.workspace_id) THEN
            UPDATE public.job_operations
            SET state = 'aborted', state_reason = 'who asked for it is no admin of the workspace any more', ended_at = now
            WHERE id = op.id;
            RETURN true;
        END IF;
    END IF;

    -- How the started jobs ended.
    WITH looked AS (
        SELECT item.position,
               CASE WHEN job.status = 'completed' THEN 'succeeded'
                    WHEN job.id IS NULL OR job.status IN ('failed', 'dead_letter', 'cancelled') THEN 'failed' END AS outcome
        FROM public.job_operation_items AS item
        LEFT JOIN public.jobs AS job ON job.id = coalesce(item.new_job_id, item.job_id)
        WHERE item.operation_id = op.id AND item.state = 'changed' AND item.outcome IS NULL
    ), told AS (
        UPDATE public.job_operation_items AS item SET outcome = looked.outcome
        FROM looked
        WHERE item.operation_id = op.id AND item.position = looked.position AND looked.outcome IS NOT NULL
        RETURNING item.outcome
    )
    SELECT count(*), count(*) FILTER (WHERE outcome = 'succeeded') INTO ended, ended_well FROM told;
    op.succeeded := op.succeeded + ended_well;
    op.failed := op.failed + ended - ended_well;

    -- The stop rule. While the first ones run, one failure of two says little: it takes ten, or all of the canary.
    IF op.stop_on_errors IS NOT NULL AND op.failed > 0
       AND 100.0 * op.failed / (op.failed + op.succeeded) > op.stop_on_errors
       AND op.failed + op.succeeded >= least(10, op.total, coalesce(op.canary, 10)) THEN
        UPDATE public.job_operations
        SET state = 'stopped', succeeded = op.succeeded, failed = op.failed, stepped_at = now,
            state_reason = format('%s of %s jobs that have ended failed, more than %s %%', op.failed,
                                  op.failed + op.succeeded, op.stop_on_errors)
        WHERE id = op.id;
        INSERT INTO public.job_audit (workspace_id, actor, via, action, subject, details)
        VALUES (op.workspace_id, op.actor, 'worker', 'operation.stop', op.id::text,
                jsonb_build_object('failed', op.failed, 'succeeded', op.succeeded));
        RETURN true;
    END IF;

    -- How many now.
    room := op.total - op.taken;
    IF op.rate IS NOT NULL THEN
        -- Never more than a second's worth at once, whatever time has passed.
        op.credit := least(greatest(op.rate, 1), op.credit + op.rate * extract(epoch FROM now - op.stepped_at));
        room := least(room, floor(op.credit)::int);
    END IF;
    IF op.canary IS NOT NULL AND NOT op.is_canary_over THEN
        IF op.changed >= op.canary AND op.failed + op.succeeded >= op.canary THEN
            -- Without a rule of its own a canary allows no failure.
            IF op.stop_on_errors IS NULL AND op.failed > 0 THEN
                UPDATE public.job_operations
                SET state = 'stopped', succeeded = op.succeeded, failed = op.failed, stepped_at = now,
                    state_reason = format('%s of the first %s jobs failed', op.failed, op.canary)
                WHERE id = op.id;
                RETURN true;
            END IF;
            op.is_canary_over := true;
        ELSE
            room := least(room, op.canary - op.changed);
        END IF;
    END IF;
    room := greatest(0, least(room, batch));

    FOR one IN SELECT position, job_id FROM public.job_operation_items
                WHERE operation_id = op.id AND position > op.taken ORDER BY position LIMIT room LOOP
        verdict := 'changed';
        why := NULL;
        added := NULL;
        BEGIN
            CASE op.action
                WHEN 'retry' THEN PERFORM jobworker.retry_job(one.job_id);
                WHEN 'discard' THEN PERFORM jobworker.delete_job(one.job_id);
                WHEN 'dead_letter' THEN PERFORM jobworker.set_aside_job(one.job_id);
                WHEN 'replay' THEN
                    SELECT id INTO added FROM jobworker.replay_job(one.job_id,
                        CASE WHEN op.payload IS NOT NULL OR op.changes <> '[]' THEN jobworker.changed_payload(
                            coalesce(op.payload, (SELECT payload FROM public.jobs WHERE id = one.job_id)), op.changes)
                        END);
            END CASE;
        EXCEPTION WHEN no_data_found OR SQLSTATE 'JW409' OR lock_not_available OR unique_violation OR check_violation
                       OR insufficient_privilege OR data_exception THEN
            verdict := 'skipped';
            why := left(SQLERRM, 500);
        END;
        UPDATE public.job_operation_items
        SET state = verdict, new_job_id = added, note = why,
            -- What is gone or set aside runs no more.
            outcome = CASE WHEN verdict = 'changed' AND op.action IN ('discard', 'dead_letter') THEN 'succeeded' END
        WHERE operation_id = op.id AND position = one.position;
        op.taken := one.position;
        IF verdict = 'changed' THEN
            op.changed := op.changed + 1;
            op.credit := op.credit - 1;
            IF op.action IN ('discard', 'dead_letter') THEN op.succeeded := op.succeeded + 1; END IF;
        ELSE
            op.skipped := op.skipped + 1;
        END IF;
    END LOOP;

    UPDATE public.job_operations
    SET taken = op.taken, changed = op.changed, skipped = op.skipped, succeeded = op.succeeded, failed = op.failed,
        is_canary_over = op.is_canary_over, credit = op.credit, stepped_at = now,
        -- With a rule it lasts until the last job has ended, so that it can say how that went.
        state = CASE WHEN op.taken >= op.total
                      AND (op.stop_on_errors IS NULL AND op.canary IS NULL OR op.succeeded + op.failed >= op.changed)
                     THEN 'done' ELSE 'running' END,
        ended_at = CASE WHEN op.taken >= op.total
                         AND (op.stop_on_errors IS NULL AND op.canary IS NULL OR op.succeeded + op.failed >= op.changed)
                        THEN now END
    WHERE id = op.id;
    RETURN true;
END
$$;

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
    DELETE FROM public.jobs WHERE id = ANY (due);
    GET DIAGNOSTICS retired = ROW_COUNT;
END
$$;

REVOKE ALL ON FUNCTION jobworker.error_pattern(text), jobworker.error_group(text, text), jobworker.on_job_failed(),
    jobworker.on_dead_letter(), jobworker.on_dead_letter_settled(), jobworker.set_failed_aside(),
    jobworker.changed_payload(jsonb, jsonb), jobworker.start_operation(text, uuid[], jsonb),
    jobworker.control_operation(uuid, text), jobworker.step_operations(int), jobworker.make_archive_month(timestamptz),
    jobworker.retire_jobs(jsonb, boolean, timestamptz, uuid, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.error_pattern(text), jobworker.error_group(text, text),
    jobworker.start_operation(text, uuid[], jsonb), jobworker.control_operation(uuid, text)
    TO authenticated, service_role, jobworker;
GRANT EXECUTE ON FUNCTION jobworker.changed_payload(jsonb, jsonb), jobworker.step_operations(int),
    jobworker.make_archive_month(timestamptz), jobworker.retire_jobs(jsonb, boolean, timestamptz, uuid, int) TO jobworker;
