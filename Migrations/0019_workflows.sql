-- 0019: adding, cancelling and retrying jobs that wait for others, and the results that they get.
-- Locks:   none on tables in use.
-- Rollout: before the workers of this version.
-- Growth:  job_batches: a row each time that a running job adds jobs; it goes with that job.

-- Refuses what a caller has written, in words that are for the caller.
CREATE FUNCTION jobworker.refuse_jobs(sentence text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', sentence USING ERRCODE = 'JW422';
END
$$;

-- One of the jobs as messages name it.
CREATE FUNCTION jobworker.job_words(place bigint, step text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce('the job ''' || left(step, 100) || '''', 'job ' || place)
$$;

-- Says where jobs wait for each other in a circle, by their places: `before[i]` comes before `behind[i]`. Null: nowhere.
-- Takes time in proportion to jobs and dependencies.
CREATE FUNCTION jobworker.find_circle(jobs int, before int[], behind int[]) RETURNS int[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    edges constant int := coalesce(cardinality(before), 0);
    first_edge int[] := array_fill(1, ARRAY[jobs + 2]);    -- of each job: where its children begin in `children`
    children int[] := array_fill(0, ARRAY[edges + 1]);
    open int[] := array_fill(0, ARRAY[jobs + 1]);          -- parents that aren't in order yet
    ready int[] := array_fill(0, ARRAY[jobs + 1]);
    filled int := 0;
    done int := 0;
    job int;
    circle int[];
BEGIN
    FOR i IN 1..edges LOOP
        open[behind[i]] := open[behind[i]] + 1;
        first_edge[before[i] + 1] := first_edge[before[i] + 1] + 1;
    END LOOP;
    FOR i IN 2..jobs + 1 LOOP
        first_edge[i] := first_edge[i] + first_edge[i - 1] - 1;
    END LOOP;
    -- Filled from the front; each start moves on to the next one's, and is moved back by that.
    FOR i IN 1..edges LOOP
        children[first_edge[before[i]]] := behind[i];
        first_edge[before[i]] := first_edge[before[i]] + 1;
    END LOOP;
    FOR i IN 1..jobs LOOP
        IF open[i] = 0 THEN
            filled := filled + 1;
            ready[filled] := i;
        END IF;
    END LOOP;
    WHILE done < filled LOOP
        done := done + 1;
        job := ready[done];
        FOR i IN (CASE WHEN job = 1 THEN 1 ELSE first_edge[job - 1] END)..(first_edge[job] - 1) LOOP
            open[children[i]] := open[children[i]] - 1;
            IF open[children[i]] = 0 THEN
                filled := filled + 1;
                ready[filled] := children[i];
            END IF;
        END LOOP;
    END LOOP;
    IF done = jobs THEN
        RETURN NULL;
    END IF;
    -- From any that is left, up to a parent that is left, until one comes again.
    SELECT i INTO job FROM generate_series(1, jobs) AS i WHERE open[i] > 0 LIMIT 1;
    WHILE array_position(circle, job) IS NULL AND coalesce(cardinality(circle), 0) < 1000 LOOP
        circle := circle || job;
        SELECT e.b INTO job FROM unnest(before, behind) AS e (b, c) WHERE e.c = job AND open[e.b] > 0 LIMIT 1;
    END LOOP;
    RETURN circle[coalesce(array_position(circle, job), 1):] || job;
END
$$;

-- Adds jobs, each described as the API has it: job_type, payload, job_queue, priority, scheduled_for, max_attempts,
-- timeout_seconds, unique_key; and name, after, on_dependency_failure. `after` names jobs among these, earlier ones of the
-- workflow, or any job of the workspace by its id. Checks everything but who may; all or none.
-- JW422: what is wrong with the description. JW409: a unique key is in use.
CREATE FUNCTION jobworker.insert_jobs(workspace uuid, jobs jsonb, workflow uuid, creator uuid)
RETURNS TABLE (place int, step text, id uuid, status text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    most constant int := 100000;
    many int;
    is_trusted constant boolean := pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
        OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER');
    wrong record;
    ids uuid[];
    steps text[];
    before int[];           -- dependencies among these jobs, by place
    behind int[];
    inner_policies text[];
    outer_parents uuid[];   -- dependencies on jobs that are there
    outer_children int[];
    outer_policies text[];
    circle int[];
    blocked_by int[];
    are_parents boolean[];
    known_steps text[];
    known_ids uuid[];
BEGIN
    IF jsonb_typeof(jobs) IS DISTINCT FROM 'array' THEN
        PERFORM jobworker.refuse_jobs('jobs must be a list');
    END IF;
    many := jsonb_array_length(jobs);
    IF many = 0 OR many > most THEN
        PERFORM jobworker.refuse_jobs(format('there are %s jobs; write 1 to %s', many, most));
    END IF;

    -- What each one says.
    SELECT g.place, g.job ->> 'name' AS step,
        CASE WHEN jsonb_typeof(g.job) <> 'object' THEN 'must be an object'
             WHEN jsonb_typeof(g.job -> 'job_type') IS DISTINCT FROM 'string' OR length(g.job ->> 'job_type') NOT BETWEEN 1 AND 100
                 THEN 'needs a job_type of 1 to 100 characters'
             WHEN g.job ->> 'name' !~ '^[A-Za-z0-9_-]{1,100}$'
                 THEN 'needs a name of letters, digits, - and _, at most 100 of them'
             WHEN g.job ->> 'on_dependency_failure' NOT IN ('cancel', 'run') THEN 'needs cancel or run as on_dependency_failure'
             WHEN jsonb_typeof(g.job -> 'after') NOT IN ('array', 'null') THEN 'needs a list as after'
             WHEN length(g.job ->> 'job_queue') NOT BETWEEN 1 AND 50 THEN 'needs a job_queue of 1 to 50 characters'
             WHEN jsonb_typeof(g.job -> 'priority') NOT IN ('number', 'null')
                  OR (g.job ->> 'priority')::numeric NOT BETWEEN -10 AND 10 THEN 'needs a priority from -10 to 10'
             WHEN jsonb_typeof(g.job -> 'max_attempts') NOT IN ('number', 'null')
                  OR (g.job ->> 'max_attempts')::numeric NOT BETWEEN 1 AND CASE WHEN is_trusted THEN 1000 ELSE 10 END
                 THEN 'needs max_attempts from 1 to 10'
             WHEN jsonb_typeof(g.job -> 'timeout_seconds') NOT IN ('number', 'null')
                  OR (g.job ->> 'timeout_seconds')::numeric NOT BETWEEN 1 AND 2592000
                 THEN 'needs timeout_seconds from 1 to 2592000'
             WHEN length(g.job ->> 'unique_key') NOT BETWEEN 1 AND 255 THEN 'needs a unique_key of 1 to 255 characters'
             WHEN octet_length((g.job -> 'payload')::text) > 4194304 THEN 'has a payload larger than 4 MiB'
             WHEN EXISTS (SELECT FROM jsonb_object_keys(g.job) AS k WHERE k NOT IN (
                      'name', 'job_type', 'payload', 'job_queue', 'priority', 'scheduled_for', 'max_attempts',
                      'timeout_seconds', 'unique_key', 'after', 'on_dependency_failure')) THEN
                 format('has the unknown field ''%s''', left((SELECT min(k) FROM jsonb_object_keys(g.job) AS k WHERE k NOT IN (
                      'name', 'job_type', 'payload', 'job_queue', 'priority', 'scheduled_for', 'max_attempts',
                      'timeout_seconds', 'unique_key', 'after', 'on_dependency_failure')), 100))
        END AS fault
    INTO wrong
    FROM jsonb_array_elements(jobs) WITH ORDINALITY AS g (job, place)
    ORDER BY (CASE WHEN jsonb_typeof(g.job) <> 'object' THEN true END), 3 NULLS LAST, 1
    LIMIT 1;
    IF wrong.fault IS NOT NULL THEN
        PERFORM jobworker.refuse_jobs(jobworker.job_words(wrong.place, wrong.step) || ' ' || wrong.fault);
    END IF;

    SELECT array_agg(gen_random_uuid() ORDER BY g.place), array_agg(g.job ->> 'name' ORDER BY g.place)
    INTO ids, steps
    FROM jsonb_array_elements(jobs) WITH ORDINALITY AS g (job, place);

    -- Names.
    SELECT s.step INTO wrong FROM unnest(steps) AS s (step) WHERE s.step IS NOT NULL
    GROUP BY s.step HAVING count(*) > 1 LIMIT 1;
    IF FOUND THEN
        PERFORM jobworker.refuse_jobs(format('two jobs have the name ''%s''', wrong.step));
    END IF;
    IF workflow IS NULL AND EXISTS (SELECT FROM unnest(steps) AS s WHERE s IS NOT NULL) THEN
        PERFORM jobworker.refuse_jobs('only jobs of a workflow have names');
    END IF;
    IF workflow IS NOT NULL THEN
        SELECT j.workflow_step AS step INTO wrong FROM public.jobs AS j
        WHERE j.workflow_id = insert_jobs.workflow AND j.workflow_step = ANY (steps) LIMIT 1;
        IF FOUND THEN
            PERFORM jobworker.refuse_jobs(format('the workflow has a job with the name ''%s'' already', wrong.step));
        END IF;
    END IF;

    -- What `after` names: one of these, one of the workflow's, or an id. Names that look like ids are ids.
    SELECT array_agg(r.name), array_agg(found_job.id) INTO known_steps, known_ids
    FROM (SELECT DISTINCT a.name FROM jsonb_array_elements(jobs) AS g (job),
              jsonb_array_elements_text(CASE jsonb_typeof(g.job -> 'after') WHEN 'array' THEN g.job -> 'after' ELSE '[]' END)
                  AS a (name)
          EXCEPT SELECT s FROM unnest(steps) AS s) AS r
    JOIN LATERAL (
        SELECT j.id FROM public.jobs AS j
        WHERE j.id = CASE WHEN r.name ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN r.name::uuid END
          AND j.workspace_id = workspace
        UNION ALL
        SELECT j.id FROM public.jobs AS j WHERE j.workflow_id = insert_jobs.workflow AND j.workflow_step = r.name
        LIMIT 1) AS found_job ON true;

    WITH named AS MATERIALIZED (
        SELECT DISTINCT g.place::int AS child, a.name,
               coalesce(g.job ->> 'on_dependency_failure', 'cancel') AS policy
        FROM jsonb_array_elements(jobs) WITH ORDINALITY AS g (job, place),
            jsonb_array_elements_text(CASE jsonb_typeof(g.job -> 'after') WHEN 'array' THEN g.job -> 'after' ELSE '[]' END)
                AS a (name)
    ), resolved AS MATERIALIZED (
        SELECT n.child, n.name, n.policy, own.place::int AS own_parent, known.id AS other_parent
        FROM named AS n
        LEFT JOIN unnest(steps) WITH ORDINALITY AS own (step, place) ON own.step = n.name
        LEFT JOIN unnest(known_steps, known_ids) AS known (step, id) ON own.step IS NULL AND known.step = n.name
    )
    SELECT array_agg(own_parent ORDER BY child, own_parent) FILTER (WHERE own_parent IS NOT NULL) AS before,
           array_agg(child ORDER BY child, own_parent) FILTER (WHERE own_parent IS NOT NULL) AS behind,
           array_agg(policy ORDER BY child, own_parent) FILTER (WHERE own_parent IS NOT NULL) AS inner_policies,
           array_agg(other_parent ORDER BY child, other_parent) FILTER (WHERE other_parent IS NOT NULL) AS outer_parents,
           array_agg(child ORDER BY child, other_parent) FILTER (WHERE other_parent IS NOT NULL) AS outer_children,
           array_agg(policy ORDER BY child, other_parent) FILTER (WHERE other_parent IS NOT NULL) AS outer_policies,
           min(child) FILTER (WHERE own_parent IS NULL AND other_parent IS NULL) AS lost,
           (array_agg(name ORDER BY child) FILTER (WHERE own_parent IS NULL AND other_parent IS NULL))[1] AS lost_name
    INTO wrong FROM resolved;
    IF wrong.lost IS NOT NULL THEN
        PERFORM jobworker.refuse_jobs(format('%s waits for ''%s'', and there is no such job',
            jobworker.job_words(wrong.lost, steps[wrong.lost]), left(wrong.lost_name, 100)));
    END IF;
    before := wrong.before;
    behind := wrong.behind;
    inner_policies := wrong.inner_policies;
    outer_parents := wrong.outer_parents;
    outer_children := wrong.outer_children;
    outer_policies := wrong.outer_policies;
    circle := jobworker.find_circle(many, before, behind);
    IF circle IS NOT NULL THEN
        PERFORM jobworker.refuse_jobs('the jobs wait for each other in a circle: '
            || (SELECT string_agg(steps[c.job], ' after ' ORDER BY c.n) FROM unnest(circle[:10]) WITH ORDINALITY AS c (job, n))
            || CASE WHEN cardinality(circle) > 10 THEN ' and so on' ELSE '' END);
    END IF;

    -- Results that payloads ask for must come from parents.
    SELECT g.place, g.job ->> 'name' AS step, split_part(p.path, '.', 1) AS parent
    INTO wrong
    FROM jsonb_array_elements(jobs) WITH ORDINALITY AS g (job, place)
    CROSS JOIN LATERAL jsonb_path_query(g.job -> 'payload', 'strict $.** ? (@.type() == "object" && @.keyvalue().key == "$result")."$result"') AS found_value
    CROSS JOIN LATERAL (SELECT found_value #>> '{}') AS p (path)
    WHERE position('"$result"' IN (g.job -> 'payload')::text) > 0
      AND position('"$literal"' IN (g.job -> 'payload')::text) = 0
      AND jsonb_array_length(CASE jsonb_typeof(g.job -> 'after') WHEN 'array' THEN g.job -> 'after' ELSE '[]' END) > 0
      AND split_part(p.path, '.', 1) <> '*'
      AND NOT g.job -> 'after' ? split_part(p.path, '.', 1)
    LIMIT 1;
    IF FOUND THEN
        PERFORM jobworker.refuse_jobs(format('the payload of %s asks for the result of ''%s'', which is not among those in after',
            jobworker.job_words(wrong.place, wrong.step), left(wrong.parent, 100)));
    END IF;

    -- Parents that are there can't end from here on until this is done.
    IF outer_parents IS NOT NULL THEN
        PERFORM FROM public.jobs AS j WHERE j.id = ANY (outer_parents) ORDER BY j.id FOR NO KEY UPDATE;
        UPDATE public.jobs AS j SET dependents = true WHERE j.id = ANY (outer_parents) AND NOT j.dependents;
    END IF;

    blocked_by := array_fill(0, ARRAY[many]);
    are_parents := array_fill(false, ARRAY[many]);
    FOR i IN 1..coalesce(cardinality(before), 0) LOOP
        blocked_by[behind[i]] := blocked_by[behind[i]] + 1;
        are_parents[before[i]] := true;
    END LOOP;
    FOR i IN 1..coalesce(cardinality(outer_parents), 0) LOOP
        blocked_by[outer_children[i]] := blocked_by[outer_children[i]] + 1;
    END LOOP;

    BEGIN
        INSERT INTO public.jobs (id, workspace_id, job_type, payload, job_queue, priority, scheduled_for, max_attempts,
                                 timeout_seconds, unique_key, created_by, workflow_id, workflow_step, dependents, blockers,
                                 status)
        SELECT b.id, workspace, g.job ->> 'job_type', coalesce(g.job -> 'payload', '{}'),
               coalesce(g.job ->> 'job_queue', 'default'), coalesce((g.job ->> 'priority')::int, 0),
               (g.job ->> 'scheduled_for')::timestamptz, coalesce((g.job ->> 'max_attempts')::int, 5),
               (g.job ->> 'timeout_seconds')::int, g.job ->> 'unique_key', creator, workflow, g.job ->> 'name',
               b.is_parent, nullif(b.parents, 0), CASE WHEN b.parents > 0 THEN 'blocked' ELSE 'pending' END
        FROM jsonb_array_elements(jobs) WITH ORDINALITY AS g (job, place)
        JOIN unnest(ids, are_parents, blocked_by) WITH ORDINALITY AS b (id, is_parent, parents, place) USING (place)
        ORDER BY place;
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'another job with one of these unique keys is active' USING ERRCODE = 'JW409';
    END;

    PERFORM set_config('jobworker.dependencies_counted', 'on', true);
    INSERT INTO public.job_dependencies (job_id, depends_on_job_id, on_failure)
    SELECT ids[e.child], ids[e.parent], e.policy FROM unnest(before, behind, inner_policies) AS e (parent, child, policy)
    UNION ALL
    SELECT ids[e.child], e.parent, e.policy FROM unnest(outer_parents, outer_children, outer_policies) AS e (parent, child, policy);
    PERFORM set_config('jobworker.dependencies_counted', '', true);

    IF EXISTS (SELECT FROM public.jobs AS j WHERE j.id = ANY (outer_parents) AND jobworker.has_ended(j.status)) THEN
        -- As if they ended now.
        INSERT INTO jobworker.dependency_notes (xact, parent, child, outcome, on_failure)
        SELECT pg_current_xact_id(), e.parent, ids[e.child], 'ended', e.policy
        FROM unnest(outer_parents, outer_children, outer_policies) AS e (parent, child, policy)
        JOIN public.jobs AS j ON j.id = e.parent AND jobworker.has_ended(j.status);
        PERFORM jobworker.settle_all_noted();
    END IF;

    RETURN QUERY
    SELECT g.place::int, g.step, g.id, j.status::text
    FROM unnest(ids, steps) WITH ORDINALITY AS g (id, step, place) JOIN public.jobs AS j ON j.id = g.id
    ORDER BY g.place;
END
$$;

-- Whether the caller may add jobs to this workspace. P0002: no, and they needn't know of it.
CREATE FUNCTION jobworker.require_member(workspace uuid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
       OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER') THEN
        IF NOT EXISTS (SELECT FROM public.workspaces AS w WHERE w.id = workspace) THEN
            RAISE EXCEPTION 'workspace % not found', workspace USING ERRCODE = 'no_data_found';
        END IF;
    ELSIF NOT coalesce(jobworker.is_member(workspace), false) THEN
        RAISE EXCEPTION 'workspace % not found', workspace USING ERRCODE = 'no_data_found';
    END IF;
END
$$;

-- Adds a workflow with its jobs and returns its id. For any member of the workspace.
CREATE FUNCTION jobworker.add_workflow(workspace uuid, jobs jsonb, name text DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    creator constant uuid := (SELECT id FROM auth.users WHERE id = jobworker.user_id());
    workflow uuid;
    added int;
BEGIN
    PERFORM jobworker.require_member(workspace);
    IF length(add_workflow.name) NOT BETWEEN 1 AND 200 THEN
        PERFORM jobworker.refuse_jobs('the name must have 1 to 200 characters');
    END IF;
    INSERT INTO public.job_workflows (workspace_id, name, created_by)
    VALUES (workspace, add_workflow.name, creator) RETURNING id INTO workflow;
    SELECT count(*) INTO added FROM jobworker.insert_jobs(workspace, jobs, workflow, creator);
    PERFORM jobworker.audit_workflow('workflow.add', workflow, added);
    RETURN workflow;
END
$$;

-- Adds jobs to a workflow that is there, also one that runs or has ended.
CREATE FUNCTION jobworker.extend_workflow(workflow uuid, jobs jsonb)
RETURNS TABLE (place int, step text, id uuid, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    workspace constant uuid := jobworker.lock_workflow(workflow);
BEGIN
    RETURN QUERY SELECT * FROM jobworker.insert_jobs(
        workspace, jobs, workflow, (SELECT u.id FROM auth.users AS u WHERE u.id = jobworker.user_id()));
    PERFORM jobworker.audit_workflow('workflow.extend', workflow, jsonb_array_length(jobs));
END
$$;

-- Adds jobs that wait for others, and belong to no workflow. For any member of the workspace.
CREATE FUNCTION jobworker.add_jobs(workspace uuid, jobs jsonb)
RETURNS TABLE (place int, step text, id uuid, status text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM jobworker.require_member(workspace);
    RETURN QUERY SELECT * FROM jobworker.insert_jobs(
        workspace, jobs, NULL, (SELECT u.id FROM auth.users AS u WHERE u.id = jobworker.user_id()));
END
$$;

-- The workspace of a workflow that the caller may change; names in it are added by one at a time.
CREATE FUNCTION jobworker.lock_workflow(workflow uuid) RETURNS uuid
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    workspace uuid;
BEGIN
    SELECT workspace_id INTO workspace FROM public.job_workflows WHERE id = workflow FOR NO KEY UPDATE;
    IF FOUND THEN
        BEGIN
            PERFORM jobworker.require_member(workspace);
            RETURN workspace;
        EXCEPTION WHEN no_data_found THEN
            NULL;
        END;
    END IF;
    RAISE EXCEPTION 'workflow % not found', workflow USING ERRCODE = 'no_data_found';
END
$$;

CREATE FUNCTION jobworker.audit_workflow(action text, workflow uuid, jobs int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_workflow public.job_workflows%ROWTYPE;
    changed constant text := CASE action WHEN 'workflow.cancel' THEN 'jobs_open' ELSE 'jobs_without_success' END;
BEGIN
    -- The application's server, and the program by itself, are no persons.
    IF jobworker.acting_name() LIKE 'role:%' THEN
        RETURN;
    END IF;
    SELECT * INTO found_workflow FROM public.job_workflows WHERE id = workflow;
    IF action IN ('workflow.cancel', 'workflow.retry') THEN
        -- As many as were changed, and none is left.
        PERFORM jobworker.audit(
            action, coalesce(found_workflow.name, workflow::text), found_workflow.workspace_id, NULL,
            jsonb_build_object(changed, jobs), jsonb_build_object(changed, 0));
        RETURN;
    END IF;
    PERFORM jobworker.audit(action, coalesce(found_workflow.name, workflow::text), found_workflow.workspace_id, NULL, NULL,
                            jsonb_build_object('workflow_id', workflow, 'name', found_workflow.name, 'jobs', jobs));
END
$$;

-- Cancels what hasn't ended of a workflow; returns how many jobs that were.
CREATE FUNCTION jobworker.cancel_workflow(workflow uuid) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed int;
BEGIN
    PERFORM jobworker.lock_workflow(workflow);
    PERFORM FROM public.jobs AS j
    WHERE j.workflow_id = workflow AND j.status IN ('pending', 'blocked', 'processing') ORDER BY j.id FOR NO KEY UPDATE;
    WITH cancelled AS (
        UPDATE public.jobs AS j
        SET status = 'cancelled', completed_at = clock_timestamp(), next_retry_at = NULL
        WHERE j.workflow_id = workflow AND j.status IN ('pending', 'blocked', 'processing')
        RETURNING j.id
    ), logged AS (
        INSERT INTO public.job_logs (job_id, log_level, message, metadata)
        SELECT c.id, 'info', 'Cancelled with its workflow', jsonb_build_object('actor', jobworker.acting_name())
        FROM cancelled AS c
    )
    SELECT count(*) INTO changed FROM cancelled;
    IF changed > 0 THEN
        PERFORM jobworker.audit_workflow('workflow.cancel', workflow, changed);
    END IF;
    RETURN changed;
END
$$;

-- Runs again what failed or was cancelled of a workflow; what completed stays. Returns how many jobs that are.
CREATE FUNCTION jobworker.retry_workflow(workflow uuid) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    again uuid[];
    outside uuid[];
BEGIN
    PERFORM jobworker.lock_workflow(workflow);
    again := ARRAY(SELECT j.id FROM public.jobs AS j
                   WHERE j.workflow_id = workflow AND j.status IN ('failed', 'dead_letter', 'cancelled')
                   ORDER BY j.id FOR NO KEY UPDATE);
    IF again = '{}' THEN
        RETURN 0;
    END IF;
    -- The children are brought to their state here, all at once.
    INSERT INTO jobworker.dependency_notes (xact, outcome) VALUES (pg_current_xact_id(), 'settling');
    BEGIN
        WITH facts AS (
            SELECT a.id, count(p.id) FILTER (WHERE NOT jobworker.has_ended(p.status)
                                                OR p.workflow_id = workflow AND p.status <> 'completed') AS open,
                   count(d.job_id) AS parents
            FROM unnest(again) AS a (id)
            LEFT JOIN public.job_dependencies AS d ON d.job_id = a.id
            LEFT JOIN public.jobs AS p ON p.id = d.depends_on_job_id
            GROUP BY a.id
        )
        UPDATE public.jobs AS j
        SET status = CASE WHEN facts.open > 0 THEN 'blocked' ELSE 'pending' END,
            blockers = CASE WHEN facts.parents > 0 OR j.blockers IS NOT NULL THEN facts.open END, cancelled_for = NULL,
            attempts = r.attempts, progress = r.progress, result = r.result, error_message = r.error_message,
            error_stack = r.error_stack, next_retry_at = r.next_retry_at,
            scheduled_for = CASE WHEN facts.open > 0 THEN r.scheduled_for ELSE greatest(r.scheduled_for, clock_timestamp()) END,
            started_at = r.started_at, completed_at = r.completed_at, failed_at = r.failed_at,
            snoozed_since = r.snoozed_since, worker_deaths = r.worker_deaths, worker_id = r.worker_id,
            worker_heartbeat_at = r.worker_heartbeat_at, lease_token = r.lease_token
        FROM facts JOIN public.jobs AS old ON old.id = facts.id
        CROSS JOIN LATERAL jobworker.retried(old) AS r
        WHERE j.id = facts.id;
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'workflow % can''t be retried: another job with the unique key of one of its jobs is active', workflow
            USING ERRCODE = 'JW409';
    END;
    DELETE FROM jobworker.dependency_notes WHERE xact = pg_current_xact_id();
    PERFORM set_config('jobworker.parents_changed', '', true);
    -- Jobs that wait for this workflow's, and aren't its own.
    outside := ARRAY(SELECT DISTINCT d.job_id FROM public.job_dependencies AS d JOIN public.jobs AS c ON c.id = d.job_id
                     WHERE d.depends_on_job_id = ANY (again) AND c.workflow_id IS DISTINCT FROM workflow);
    IF outside <> '{}' THEN
        PERFORM jobworker.judge_children(jobworker.lock_children(outside, ARRAY['blocked', 'cancelled'], true));
    END IF;
    INSERT INTO public.job_logs (job_id, log_level, message, metadata)
    SELECT id, 'info', 'Retried with its workflow', jsonb_build_object('actor', jobworker.acting_name())
    FROM unnest(again) AS id;
    UPDATE public.dead_letter_queue
    SET status = 'resolved', resolved_at = clock_timestamp(), resolved_by_name = jobworker.acting_name()
    WHERE job_id = ANY (again) AND status IN ('pending', 'investigating');
    PERFORM jobworker.audit_workflow('workflow.retry', workflow, cardinality(again));
    RETURN cardinality(again);
END
$$;

-- What a workflow has come to, from its jobs: running while one of them may still run, else failed, cancelled or
-- completed. Null: none of them is left.
CREATE FUNCTION jobworker.workflow_state(workflow uuid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM public.jobs WHERE workflow_id = workflow AND status IN ('processing', 'pending', 'blocked')) THEN 'running'
        WHEN EXISTS (SELECT FROM public.jobs WHERE workflow_id = workflow AND status IN ('failed', 'dead_letter')) THEN 'failed'
        WHEN EXISTS (SELECT FROM public.jobs WHERE workflow_id = workflow AND status = 'cancelled') THEN 'cancelled'
        WHEN EXISTS (SELECT FROM public.jobs WHERE workflow_id = workflow) THEN 'completed' END
$$;

-- Adds jobs on behalf of a running one, while its claim holds; to its workflow, if it has one. `after` may name the job
-- itself by its id. The same batch sent again adds nothing: it is known by its key.
CREATE TABLE jobworker.job_batches (
    job        uuid NOT NULL REFERENCES public.jobs ON DELETE CASCADE,
    key        uuid NOT NULL,
    added      uuid[] NOT NULL,
    PRIMARY KEY (job, key)
);
ALTER TABLE jobworker.job_batches ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.job_batches FROM PUBLIC;

CREATE FUNCTION jobworker.add_jobs_from(job uuid, token bigint, batch uuid, jobs jsonb)
RETURNS TABLE (id uuid, is_held boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    found_job record;
    known uuid[];
BEGIN
    SELECT b.added INTO known FROM jobworker.job_batches AS b WHERE b.job = add_jobs_from.job AND b.key = batch;
    IF FOUND THEN
        RETURN QUERY SELECT k, true FROM unnest(known) AS k;
        RETURN;
    END IF;
    SELECT j.workspace_id, j.workflow_id, j.created_by, j.inserted_by INTO found_job FROM public.jobs AS j
    WHERE j.id = add_jobs_from.job AND j.lease_token = token AND j.lease_open AND j.status = 'processing'
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;     -- the claim is lost
    END IF;
    IF found_job.workflow_id IS NOT NULL THEN
        PERFORM FROM public.job_workflows AS w WHERE w.id = found_job.workflow_id FOR NO KEY UPDATE;
    END IF;
    -- They have no more rights than the job.
    PERFORM set_config('jobworker.inserter', coalesce(found_job.inserted_by, ''), true);
    known := ARRAY(SELECT a.id FROM jobworker.insert_jobs(
        found_job.workspace_id, jobs, found_job.workflow_id, found_job.created_by) AS a ORDER BY a.place);
    PERFORM set_config('jobworker.inserter', '', true);
    INSERT INTO jobworker.job_batches (job, key, added) VALUES (add_jobs_from.job, batch, known);
    RETURN QUERY SELECT k, true FROM unnest(known) AS k;
END
$$;

-- A piece of a payload with the results that it asks for: {"$result": "a.path"} is replaced by that part of the result of
-- the parent `a`, {"$result": "*"} by all parents' results under their names; {"$literal": …} by what stands there.
-- JW422: a result isn't there.
CREATE FUNCTION jobworker.with_results(job uuid, piece jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind constant text := jsonb_typeof(piece);
    asked text;
    parent record;
    found_value jsonb;
BEGIN
    IF kind NOT IN ('object', 'array') OR position('"$result"' IN piece::text) = 0 AND position('"$literal"' IN piece::text) = 0 THEN
        RETURN piece;
    END IF;
    IF kind = 'array' THEN
        RETURN (SELECT jsonb_agg(jobworker.with_results(job, e.value) ORDER BY e.place)
                FROM jsonb_array_elements(piece) WITH ORDINALITY AS e (value, place));
    END IF;
    IF piece ? '$literal' AND piece - '$literal' = '{}' THEN
        RETURN piece -> '$literal';
    END IF;
    IF NOT (piece ? '$result' AND piece - '$result' = '{}' AND jsonb_typeof(piece -> '$result') = 'string') THEN
        RETURN (SELECT jsonb_object_agg(e.key, jobworker.with_results(job, e.value)) FROM jsonb_each(piece) AS e);
    END IF;
    asked := piece ->> '$result';
    IF asked = '*' THEN
        RETURN (SELECT coalesce(jsonb_object_agg(coalesce(p.workflow_step, p.id::text), p.result), '{}')
                FROM public.job_dependencies AS d JOIN public.jobs AS p ON p.id = d.depends_on_job_id
                WHERE d.job_id = job);
    END IF;
    SELECT p.status, p.result INTO parent
    FROM public.job_dependencies AS d JOIN public.jobs AS p ON p.id = d.depends_on_job_id
    WHERE d.job_id = job AND split_part(asked, '.', 1) IN (p.workflow_step, p.id::text) LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'The payload asks for the result ''%'', and no such job is among those it waited for', left(asked, 200)
            USING ERRCODE = 'JW422';
    END IF;
    found_value := parent.result #> (string_to_array(asked, '.'))[2:];
    IF found_value IS NULL THEN
        RAISE EXCEPTION 'The payload asks for the result ''%'', which is not there; that job is %', left(asked, 200), parent.status
            USING ERRCODE = 'JW422';
    END IF;
    RETURN found_value;
END
$$;

-- Rights.
REVOKE ALL ON FUNCTION jobworker.with_results(uuid, jsonb), jobworker.refuse_jobs(text),
    jobworker.job_words(bigint, text), jobworker.find_circle(int, int[], int[]),
    jobworker.insert_jobs(uuid, jsonb, uuid, uuid), jobworker.require_member(uuid),
    jobworker.add_workflow(uuid, jsonb, text), jobworker.extend_workflow(uuid, jsonb), jobworker.add_jobs(uuid, jsonb),
    jobworker.lock_workflow(uuid), jobworker.audit_workflow(text, uuid, int), jobworker.cancel_workflow(uuid),
    jobworker.retry_workflow(uuid), jobworker.workflow_state(uuid), jobworker.add_jobs_from(uuid, bigint, uuid, jsonb)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.add_workflow(uuid, jsonb, text), jobworker.extend_workflow(uuid, jsonb),
    jobworker.add_jobs(uuid, jsonb), jobworker.cancel_workflow(uuid), jobworker.retry_workflow(uuid),
    jobworker.workflow_state(uuid)
    TO authenticated, service_role, jobworker;
GRANT EXECUTE ON FUNCTION jobworker.with_results(uuid, jsonb), jobworker.add_jobs_from(uuid, bigint, uuid, jsonb) TO jobworker;
