-- 0022: changes of many jobs are carried out by the workers, bit by bit.
-- Locks:   none on tables in use.
-- Rollout: before the workers of this version.
-- Growth:  a row of job_operation_items for each job of an operation, gone a week after its end.

-- Carried out some jobs at a time: they outlive the command that asked for them.
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
    is_trusted constant boolean := jobworker.is_trusted();
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
    -- A worker looks at once.
    PERFORM pg_notify('jobworker_operations', '');
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
    is_trusted constant boolean := jobworker.is_trusted();
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
    PERFORM pg_notify('jobworker_operations', '');
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

REVOKE ALL ON FUNCTION jobworker.changed_payload(jsonb, jsonb), jobworker.start_operation(text, uuid[], jsonb),
    jobworker.control_operation(uuid, text), jobworker.step_operations(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.start_operation(text, uuid[], jsonb), jobworker.control_operation(uuid, text)
    TO authenticated, service_role, jobworker;
GRANT EXECUTE ON FUNCTION jobworker.changed_payload(jsonb, jsonb), jobworker.step_operations(int) TO jobworker;
