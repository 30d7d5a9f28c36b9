-- 0014: jobs that wait for others: workflows, and what becomes of children when a parent ends.
-- Locks:   jobs and job_dependencies against everything, for a moment; the index jobs_workflow is built anew.
-- Rollout: before the workers of this version. Earlier ones run jobs of workflows, but put no results into payloads.
-- Growth:  job_workflows: a row per workflow; it goes with the last of its jobs. job_dependencies: a row for each pair of
--          child and parent.
-- Cost:    none for jobs without dependencies: the triggers' conditions pass them over without calling a function.

CREATE TABLE public.job_workflows (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES public.workspaces ON DELETE CASCADE,
    name         text CHECK (length(name) BETWEEN 1 AND 200),
    created_by   uuid REFERENCES auth.users ON DELETE SET NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX job_workflows_workspace ON public.job_workflows (workspace_id, created_at DESC, id DESC);
CREATE INDEX job_workflows_newest ON public.job_workflows (created_at DESC, id DESC);

ALTER TABLE public.jobs
    -- The job's name within its workflow.
    ADD COLUMN workflow_step text CHECK (length(workflow_step) BETWEEN 1 AND 100),
    -- Other jobs wait for this one, or did.
    ADD COLUMN dependents    boolean NOT NULL DEFAULT false,
    -- How many of its parents haven't ended; null: it has no parents.
    ADD COLUMN blockers      int CHECK (blockers >= 0),
    -- The parent that failed, was cancelled or deleted, and so cancelled this job.
    ADD COLUMN cancelled_for uuid;

-- Which states a workflow's jobs are in: one index probe for each state.
DROP INDEX public.jobs_workflow;
CREATE INDEX jobs_workflow ON public.jobs (workflow_id, status) WHERE workflow_id IS NOT NULL;
-- A name means one job.
CREATE UNIQUE INDEX jobs_workflow_step ON public.jobs (workflow_id, workflow_step) WHERE workflow_step IS NOT NULL;
ALTER TABLE public.jobs ADD CONSTRAINT jobs_workflow_exists FOREIGN KEY (workflow_id)
    REFERENCES public.job_workflows ON DELETE SET NULL NOT VALID;

-- What a statement has changed about parents, until its last trigger has told their children. Nobody else ever sees a
-- row: they go in the transaction that made them.
CREATE UNLOGGED TABLE jobworker.dependency_notes (
    xact       xid8 NOT NULL,
    parent     uuid,
    child      uuid,                            -- null: all children of the parent
    outcome    text NOT NULL,                   -- ended, revived, deleted; settling: somebody is at it
    on_failure text
);
CREATE INDEX dependency_notes_xact ON jobworker.dependency_notes (xact);

-- Children that somebody had locked when a parent changed. Workers look at them again with each poll.
-- Not unique on purpose: nobody has to wait for another to write here.
CREATE TABLE jobworker.dependency_backlog (child uuid NOT NULL);
CREATE INDEX dependency_backlog_child ON jobworker.dependency_backlog (child);

ALTER TABLE jobworker.dependency_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobworker.dependency_backlog ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.dependency_notes, jobworker.dependency_backlog FROM PUBLIC;
GRANT SELECT ON jobworker.dependency_backlog TO jobworker;
CREATE POLICY jobworker_worker ON jobworker.dependency_backlog TO jobworker USING (true) WITH CHECK (true);

-- Whether nothing more comes of a job by itself. Written out in the triggers' conditions, which may call nothing.
CREATE FUNCTION jobworker.has_ended(status text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(status IN ('completed', 'failed', 'dead_letter', 'cancelled'), false)
$$;

-- Notes that a parent has ended, or is to run again after all.
CREATE FUNCTION jobworker.note_outcome() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO jobworker.dependency_notes (xact, parent, outcome)
    VALUES (pg_current_xact_id(), OLD.id, CASE WHEN jobworker.has_ended(NEW.status) THEN 'ended' ELSE 'revived' END);
    PERFORM set_config('jobworker.parents_changed', 'on', true);
    RETURN NEW;
END
$$;
CREATE TRIGGER jobs_note_outcome BEFORE UPDATE OF status ON public.jobs
    FOR EACH ROW WHEN (
        OLD.dependents
        AND ((OLD.status IN ('completed', 'failed', 'dead_letter', 'cancelled')) IS TRUE)
            <> ((NEW.status IN ('completed', 'failed', 'dead_letter', 'cancelled')) IS TRUE))
    EXECUTE FUNCTION jobworker.note_outcome();

-- A parent that is deleted before it ended will never end. Its dependencies go with it, so they are noted one by one.
CREATE FUNCTION jobworker.note_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO jobworker.dependency_notes (xact, parent, child, outcome, on_failure)
    SELECT pg_current_xact_id(), OLD.id, d.job_id, 'deleted', d.on_failure
    FROM public.job_dependencies AS d WHERE d.depends_on_job_id = OLD.id;
    PERFORM set_config('jobworker.parents_changed', 'on', true);
    RETURN OLD;
END
$$;
CREATE TRIGGER jobs_note_deleted BEFORE DELETE ON public.jobs
    FOR EACH ROW WHEN (
        OLD.dependents AND (OLD.status IN ('completed', 'failed', 'dead_letter', 'cancelled')) IS NOT TRUE)
    EXECUTE FUNCTION jobworker.note_deleted();

-- Locks those of the children that `statuses` lets through and returns them; the others go into the backlog.
-- In the order of their ids, so that parents that end at once wait in line, and for a moment only: whoever locks a child
-- must not hold up its parents.
CREATE FUNCTION jobworker.lock_children(children uuid[], statuses text[], may_wait boolean) RETURNS uuid[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
    wanted uuid[];
    locked uuid[];
BEGIN
    IF may_wait AND NOT EXISTS (SELECT FROM jobworker.dependency_backlog) THEN
        BEGIN
            RETURN ARRAY(SELECT j.id FROM public.jobs AS j
                         WHERE j.id = ANY (children) AND j.status = ANY (statuses) ORDER BY j.id FOR NO KEY UPDATE);
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            NULL;   -- then those that can be had
        END;
    END IF;
    wanted := ARRAY(SELECT j.id FROM public.jobs AS j WHERE j.id = ANY (children) AND j.status = ANY (statuses));
    locked := ARRAY(SELECT j.id FROM public.jobs AS j
                    WHERE j.id = ANY (wanted) ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED);
    IF cardinality(locked) < cardinality(wanted) THEN
        INSERT INTO jobworker.dependency_backlog (child)
        SELECT left_out FROM unnest(wanted) AS left_out WHERE left_out <> ALL (locked);
        -- Somebody is to look again soon; the message means: anything, anywhere.
        PERFORM pg_notify(w.channel, 'dependencies')
        FROM (SELECT channel FROM jobworker.waiting_workers WHERE until > clock_timestamp() ORDER BY lot LIMIT 2) AS w;
    END IF;
    RETURN locked;
END
$$;

-- Brings children that are locked already to the state that follows from all of their parents. Those that wait, and
-- those that a parent cancelled. `reviving`: of these it is known that they won't stay cancelled.
CREATE FUNCTION jobworker.judge_children(children uuid[], reviving uuid[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    WITH facts AS (
        SELECT child, count(parent.id) FILTER (WHERE NOT jobworker.has_ended(parent.status) OR r.id IS NOT NULL) AS open,
               (array_agg(parent.id ORDER BY parent.id) FILTER (
                   WHERE d.on_failure = 'cancel' AND parent.status IN ('failed', 'dead_letter', 'cancelled')
                     AND r.id IS NULL))[1] AS culprit
        FROM unnest(children) AS child
        LEFT JOIN public.job_dependencies AS d ON d.job_id = child
        LEFT JOIN public.jobs AS parent ON parent.id = d.depends_on_job_id
        LEFT JOIN unnest(reviving) AS r (id) ON r.id = parent.id
        GROUP BY child
    ), judged AS (
        UPDATE public.jobs AS j
        SET blockers = facts.open, cancelled_for = facts.culprit,
            status = CASE WHEN facts.culprit IS NOT NULL THEN 'cancelled' WHEN facts.open > 0 THEN 'blocked'
                          ELSE 'pending' END,
            completed_at = CASE WHEN facts.culprit IS NOT NULL THEN clock_timestamp() END,
            error_message = CASE WHEN facts.culprit IS NOT NULL
                                 THEN format('Cancelled because job %s, which it waits for, did not succeed', facts.culprit) END,
            -- It becomes due now, not when it was added.
            scheduled_for = CASE WHEN facts.culprit IS NULL AND facts.open = 0 AND j.status <> 'pending'
                                 THEN greatest(j.scheduled_for, clock_timestamp()) ELSE j.scheduled_for END
        FROM facts
        WHERE j.id = facts.child
          AND (j.status IN ('blocked', 'pending') OR j.status = 'cancelled' AND j.cancelled_for IS NOT NULL)
          AND NOT EXISTS (SELECT FROM public.jobs AS other
                          WHERE j.status = 'cancelled' AND facts.culprit IS NULL AND j.unique_key IS NOT NULL
                            AND other.workspace_id = j.workspace_id AND other.job_type = j.job_type
                            AND other.unique_key = j.unique_key
                            AND other.status IN ('pending', 'blocked', 'processing'))
        RETURNING j.id, facts.culprit
    )
    INSERT INTO public.job_logs (job_id, log_level, message, metadata)
    SELECT id, 'info', format('Cancelled because job %s, which it waits for, did not succeed', culprit),
           jsonb_build_object('parent', culprit)
    FROM judged WHERE culprit IS NOT NULL;
END
$$;

-- Tells the children of the parents that this transaction has noted. May note more: cancelled children are parents, too.
-- Returns whether there was anything.
CREATE FUNCTION jobworker.settle_noted(may_wait boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ended_children uuid[];
    ended_counts int[];
    culprits uuid[];
    culprit_ends text[];
    revived uuid[];
    again uuid[];           -- those below that follow
    children uuid[];
    locked uuid[];
    found_any boolean;
    before_plans constant text := current_setting('plan_cache_mode');
BEGIN
    WITH RECURSIVE taken AS (
        DELETE FROM jobworker.dependency_notes
        WHERE xact = pg_current_xact_id() AND outcome <> 'settling'
        RETURNING parent, child, outcome, on_failure
    ), ended AS (
        SELECT d.job_id AS child, t.parent, d.on_failure, p.status AS ending
        FROM taken AS t
        JOIN public.jobs AS p ON p.id = t.parent
        JOIN public.job_dependencies AS d ON d.depends_on_job_id = t.parent
        WHERE t.outcome = 'ended' AND t.child IS NULL
        UNION ALL
        -- A dependency that was met already when it was made.
        SELECT t.child, t.parent, t.on_failure, CASE t.outcome WHEN 'deleted' THEN t.outcome ELSE p.status END
        FROM taken AS t LEFT JOIN public.jobs AS p ON p.id = t.parent AND t.outcome = 'ended'
        WHERE t.child IS NOT NULL
    ), by_child AS (
        SELECT child, count(*)::int AS parents,
               min(parent::text) FILTER (WHERE on_failure = 'cancel' AND ending <> 'completed') AS culprit,
               min(ending) FILTER (WHERE on_failure = 'cancel' AND ending <> 'completed') AS ending
        FROM ended GROUP BY child
    ), doomed (job) AS (
        -- All the way down at once.
        SELECT b.child FROM by_child AS b WHERE b.culprit IS NOT NULL
        UNION
        SELECT d.job_id FROM doomed CROSS JOIN LATERAL (
            -- From job to job by the index, whatever the planner thinks of their number.
            SELECT d.job_id FROM public.job_dependencies AS d
            WHERE d.depends_on_job_id = doomed.job AND d.on_failure = 'cancel'
              AND (SELECT j.status FROM public.jobs AS j WHERE j.id = d.job_id) = 'blocked'
            OFFSET 0) AS d
    ), deeper AS (
        SELECT d.job_id AS child, min(d.depends_on_job_id::text) AS culprit
        FROM doomed CROSS JOIN LATERAL (
            SELECT d.job_id, d.depends_on_job_id FROM public.job_dependencies AS d
            WHERE d.depends_on_job_id = doomed.job AND d.on_failure = 'cancel'
              AND (SELECT j.status FROM public.jobs AS j WHERE j.id = d.job_id) = 'blocked'
            OFFSET 0) AS d
        GROUP BY d.job_id
    ), told AS (
        SELECT child, coalesce(b.parents, 0) AS parents, coalesce(b.culprit, deeper.culprit) AS culprit,
               coalesce(b.ending, 'cancelled') AS ending
        FROM by_child AS b FULL JOIN deeper USING (child)
    )
    SELECT (SELECT array_agg(child ORDER BY child) FROM told),
           (SELECT array_agg(parents ORDER BY child) FROM told),
           (SELECT array_agg(culprit::uuid ORDER BY child) FROM told),
           (SELECT array_agg(ending ORDER BY child) FROM told),
           (SELECT array_agg(parent) FROM taken WHERE outcome = 'revived'),
           EXISTS (SELECT FROM taken)
    INTO ended_children, ended_counts, culprits, culprit_ends, revived, found_any;

    IF ended_children IS NOT NULL THEN
        locked := jobworker.lock_children(ended_children, ARRAY['blocked'], may_wait);
        WITH given AS (
            SELECT g.child, g.parents, g.culprit,
                   CASE WHEN g.culprit IS NOT NULL THEN
                       format('Cancelled because job %s, which it waits for, %s', g.culprit,
                              CASE g.ending WHEN 'cancelled' THEN 'was cancelled' WHEN 'deleted' THEN 'was deleted'
                                            ELSE 'failed' END) END AS reason
            FROM unnest(ended_children, ended_counts, culprits, culprit_ends) AS g (child, parents, culprit, ending)
        ), told AS (
            UPDATE public.jobs AS j
            SET blockers = greatest(j.blockers - given.parents, 0), cancelled_for = given.culprit,
                status = CASE WHEN given.culprit IS NOT NULL THEN 'cancelled'
                              -- What the backlog says isn't counted yet.
                              WHEN j.blockers <= given.parents
                                   AND NOT EXISTS (SELECT FROM jobworker.dependency_backlog AS b WHERE b.child = j.id)
                              THEN 'pending' ELSE 'blocked' END,
                completed_at = CASE WHEN given.culprit IS NOT NULL THEN clock_timestamp() END,
                error_message = given.reason,
                -- It becomes due now, not when it was added.
                scheduled_for = CASE WHEN given.culprit IS NULL AND j.blockers <= given.parents
                                     THEN greatest(j.scheduled_for, clock_timestamp()) ELSE j.scheduled_for END
            FROM given
            WHERE j.id = given.child AND j.id = ANY (locked) AND j.status = 'blocked'
            RETURNING j.id, given.culprit, given.reason
        )
        INSERT INTO public.job_logs (job_id, log_level, message, metadata)
        SELECT id, 'info', reason, jsonb_build_object('parent', culprit) FROM told WHERE culprit IS NOT NULL;
    END IF;

    IF revived IS NOT NULL THEN
        -- By hand and seldom; a plan made for a few would take forever for thousands.
        PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
        -- All the way down at once, where nothing else keeps one of them cancelled; else one level after another.
        WITH RECURSIVE below (job) AS (
            SELECT d.job_id FROM public.job_dependencies AS d JOIN public.jobs AS j ON j.id = d.job_id
            WHERE d.depends_on_job_id = ANY (revived) AND j.status = 'cancelled' AND j.cancelled_for = ANY (revived)
            UNION
            SELECT d.job_id FROM below CROSS JOIN LATERAL (
                SELECT d.job_id FROM public.job_dependencies AS d
                WHERE d.depends_on_job_id = below.job
                  AND (SELECT j.status = 'cancelled' AND j.cancelled_for = below.job
                       FROM public.jobs AS j WHERE j.id = d.job_id)
                OFFSET 0) AS d
        )
        SELECT array_agg(job) INTO again FROM below;
        IF EXISTS (SELECT FROM unnest(again) AS a (id)
                   WHERE (SELECT j.unique_key IS NOT NULL FROM public.jobs AS j WHERE j.id = a.id))
           OR EXISTS (
               SELECT d.parent FROM unnest(again) AS a (id) CROSS JOIN LATERAL (
                   SELECT d.depends_on_job_id AS parent FROM public.job_dependencies AS d
                   WHERE d.job_id = a.id AND d.on_failure = 'cancel'
                     AND (SELECT p.status IN ('failed', 'dead_letter', 'cancelled')
                          FROM public.jobs AS p WHERE p.id = d.depends_on_job_id)
                   OFFSET 0) AS d
               EXCEPT SELECT unnest(again)) THEN
            again := NULL;
        END IF;
        children := ARRAY(SELECT DISTINCT d.job_id FROM public.job_dependencies AS d
                          WHERE d.depends_on_job_id = ANY (revived || coalesce(again, '{}')));
        locked := jobworker.lock_children(children, ARRAY['blocked', 'cancelled'], may_wait);
        IF EXISTS (SELECT unnest(again) EXCEPT SELECT unnest(locked)) THEN
            again := NULL;
        END IF;
        UPDATE public.jobs AS j SET blockers = j.blockers + counted.parents
        FROM (SELECT d.job_id, count(*)::int AS parents FROM public.job_dependencies AS d
              WHERE d.depends_on_job_id = ANY (revived || coalesce(again, '{}')) GROUP BY d.job_id) AS counted
        WHERE j.id = counted.job_id AND j.id = ANY (locked) AND j.status = 'blocked';
        PERFORM jobworker.judge_children(coalesce(again, ARRAY(
            SELECT j.id FROM public.jobs AS j
            WHERE j.id = ANY (locked) AND j.status = 'cancelled' AND j.cancelled_for = ANY (revived))), again);
        -- What these mean for their children is done.
        DELETE FROM jobworker.dependency_notes WHERE xact = pg_current_xact_id() AND parent = ANY (again);
        PERFORM set_config('plan_cache_mode', before_plans, true);
    END IF;
    RETURN found_any;
END
$$;

-- One level of the graph after another, so that a chain of any length needs no deeper stack.
CREATE FUNCTION jobworker.settle_all_noted() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    may_wait boolean := true;
BEGIN
    IF EXISTS (SELECT FROM jobworker.dependency_notes WHERE xact = pg_current_xact_id() AND outcome = 'settling') THEN
        RETURN;     -- a statement of the loop below: the loop goes on with it
    END IF;
    INSERT INTO jobworker.dependency_notes (xact, outcome) VALUES (pg_current_xact_id(), 'settling');
    WHILE jobworker.settle_noted(may_wait) LOOP
        -- Deeper down nobody waits: locks that are held already could be what another waits for.
        may_wait := false;
    END LOOP;
    DELETE FROM jobworker.dependency_notes WHERE xact = pg_current_xact_id() AND outcome = 'settling';
    PERFORM set_config('jobworker.parents_changed', '', true);
END
$$;

CREATE FUNCTION jobworker.settle_dependents() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM jobworker.settle_all_noted();
    RETURN NULL;
END
$$;
-- The setting is only a hint that there are notes.
CREATE TRIGGER jobs_settle_dependents AFTER UPDATE OF status ON public.jobs
    FOR EACH STATEMENT WHEN (current_setting('jobworker.parents_changed', true) = 'on')
    EXECUTE FUNCTION jobworker.settle_dependents();
CREATE TRIGGER jobs_settle_dependents_of_deleted AFTER DELETE ON public.jobs
    FOR EACH STATEMENT WHEN (current_setting('jobworker.parents_changed', true) = 'on')
    EXECUTE FUNCTION jobworker.settle_dependents();

-- Looks again at children that were locked when a parent changed. Returns how many of them are settled now.
CREATE FUNCTION jobworker.settle_backlog(most int DEFAULT 1000) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    children uuid[];
    locked uuid[];
BEGIN
    WITH taken AS (
        DELETE FROM jobworker.dependency_backlog AS b
        WHERE b.ctid = ANY (ARRAY(SELECT a.ctid FROM jobworker.dependency_backlog AS a LIMIT most
                                  FOR UPDATE SKIP LOCKED))
        RETURNING b.child
    )
    SELECT array_agg(DISTINCT child) INTO children FROM taken;
    IF children IS NULL THEN
        RETURN 0;
    END IF;
    locked := ARRAY(SELECT j.id FROM public.jobs AS j WHERE j.id = ANY (children)
                    ORDER BY j.id FOR NO KEY UPDATE SKIP LOCKED);
    INSERT INTO jobworker.dependency_backlog (child)
    SELECT j.id FROM public.jobs AS j WHERE j.id = ANY (children) AND j.id <> ALL (locked);
    PERFORM jobworker.judge_children(ARRAY(
        SELECT j.id FROM public.jobs AS j
        WHERE j.id = ANY (locked) AND j.blockers IS NOT NULL
          AND (j.status = 'blocked' OR j.status = 'cancelled' AND j.cancelled_for IS NOT NULL)));
    RETURN cardinality(locked);
END
$$;

-- Children.

-- A child that is tried again by hand: it waits for parents that haven't ended, and can't do without those that failed.
CREATE FUNCTION jobworker.on_child_retried() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    culprit uuid;
BEGIN
    SELECT count(*) FILTER (WHERE NOT jobworker.has_ended(p.status)),
           (array_agg(p.id) FILTER (WHERE d.on_failure = 'cancel' AND p.status IN ('failed', 'dead_letter', 'cancelled')))[1]
    INTO NEW.blockers, culprit
    FROM public.job_dependencies AS d JOIN public.jobs AS p ON p.id = d.depends_on_job_id
    WHERE d.job_id = NEW.id;
    IF culprit IS NOT NULL THEN
        RAISE EXCEPTION 'job % can''t be retried: it needs job %, which did not succeed; retry that one', NEW.id, culprit
            USING ERRCODE = 'JW409';
    END IF;
    NEW.cancelled_for := NULL;
    IF NEW.blockers > 0 THEN
        NEW.status := 'blocked';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER jobs_keep_waiting BEFORE UPDATE OF status ON public.jobs
    FOR EACH ROW WHEN (
        NEW.blockers IS NOT NULL AND NEW.status = 'pending'
        AND OLD.status IN ('completed', 'failed', 'dead_letter', 'cancelled')
        -- Else it is a parent that lets it go.
        AND (NEW.cancelled_for IS NOT NULL OR OLD.cancelled_for IS NULL))
    EXECUTE FUNCTION jobworker.on_child_retried();

-- Whose it is, where one of the functions below adds it.
CREATE FUNCTION jobworker.on_child_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'public.jobs'::regclass), 'MEMBER') THEN
        NEW.inserted_by := coalesce(nullif(current_setting('jobworker.inserter', true), ''), jobworker.acting_role());
        IF NOT pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER') THEN
            -- The setting is the program's; anybody else is who they are.
            NEW.inserted_by := jobworker.acting_role();
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER jobs_insert_child BEFORE INSERT ON public.jobs
    FOR EACH ROW WHEN (NEW.workflow_id IS NOT NULL OR NEW.blockers IS NOT NULL)
    EXECUTE FUNCTION jobworker.on_child_insert();

-- Dependencies that are written by plain SQL.

DROP TRIGGER job_dependencies_one_workspace ON public.job_dependencies;
DROP FUNCTION jobworker.check_dependency();

CREATE FUNCTION jobworker.on_dependencies_added() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong record;
    workspace uuid;
BEGIN
    SELECT i.job_id, i.depends_on_job_id INTO wrong
    FROM added AS i
    LEFT JOIN public.jobs AS child ON child.id = i.job_id
    LEFT JOIN public.jobs AS parent ON parent.id = i.depends_on_job_id
    WHERE child.workspace_id IS DISTINCT FROM parent.workspace_id OR child.id IS NULL OR parent.id IS NULL
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'job % can''t depend on %: both must exist in one workspace', wrong.job_id, wrong.depends_on_job_id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'job_dependencies_one_workspace';
    END IF;

    -- One at a time in a workspace: two that each close half of a circle would not see each other.
    FOR workspace IN SELECT DISTINCT j.workspace_id FROM added AS i JOIN public.jobs AS j ON j.id = i.job_id ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended('jobworker.dependencies ' || workspace, 0));
    END LOOP;
    PERFORM FROM public.jobs AS j
    WHERE j.id IN (SELECT i.job_id FROM added AS i UNION SELECT i.depends_on_job_id FROM added AS i)
    ORDER BY j.id FOR NO KEY UPDATE;
    UPDATE public.jobs AS j SET dependents = true
    WHERE j.id IN (SELECT i.depends_on_job_id FROM added AS i) AND NOT j.dependents;

    WITH RECURSIVE above (start, job) AS (
        SELECT i.job_id, i.depends_on_job_id FROM added AS i
        UNION
        SELECT above.start, d.depends_on_job_id FROM above JOIN public.job_dependencies AS d ON d.job_id = above.job
    )
    SELECT start INTO wrong FROM above WHERE job = start LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'job % would wait for itself: its dependencies form a circle', wrong.start
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    -- Those that have started or ended aren't stopped any more.
    PERFORM jobworker.judge_children(ARRAY(
        SELECT j.id FROM public.jobs AS j
        WHERE j.id IN (SELECT i.job_id FROM added AS i) AND j.status IN ('pending', 'blocked')));
    RETURN NULL;
END
$$;
CREATE TRIGGER job_dependencies_added AFTER INSERT ON public.job_dependencies
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('jobworker.dependencies_counted', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION jobworker.on_dependencies_added();

CREATE FUNCTION jobworker.on_dependencies_removed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM jobworker.judge_children(ARRAY(
        SELECT j.id FROM public.jobs AS j
        WHERE j.id IN (SELECT r.job_id FROM removed AS r) AND j.status = 'blocked' ORDER BY j.id FOR NO KEY UPDATE));
    RETURN NULL;
END
$$;
-- Not where they go with their job.
CREATE TRIGGER job_dependencies_removed AFTER DELETE ON public.job_dependencies
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0)
    EXECUTE FUNCTION jobworker.on_dependencies_removed();
CREATE FUNCTION jobworker.refuse_dependency_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'a dependency can''t be changed: delete it and insert another' USING ERRCODE = 'feature_not_supported';
END
$$;
CREATE TRIGGER job_dependencies_fixed BEFORE UPDATE ON public.job_dependencies
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.refuse_dependency_update();

-- Adding jobs that wait for others.

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
REVOKE ALL ON FUNCTION jobworker.with_results(uuid, jsonb), jobworker.has_ended(text), jobworker.note_outcome(), jobworker.note_deleted(),
    jobworker.lock_children(uuid[], text[], boolean), jobworker.judge_children(uuid[], uuid[]), jobworker.settle_noted(boolean),
    jobworker.settle_all_noted(), jobworker.settle_dependents(), jobworker.settle_backlog(int),
    jobworker.on_child_retried(), jobworker.on_child_insert(), jobworker.on_dependencies_added(),
    jobworker.on_dependencies_removed(), jobworker.refuse_dependency_update(), jobworker.refuse_jobs(text),
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
-- `settle_backlog` believes what the tables say, and nothing else.
GRANT EXECUTE ON FUNCTION jobworker.with_results(uuid, jsonb), jobworker.settle_backlog(int), jobworker.add_jobs_from(uuid, bigint, uuid, jsonb) TO jobworker;

ALTER TABLE public.job_workflows ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.job_workflows FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.job_workflows TO service_role, jobworker;
GRANT SELECT ON public.job_workflows TO authenticated;
CREATE POLICY jobworker_worker ON public.job_workflows TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_workflows TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_member_select ON public.job_workflows FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
