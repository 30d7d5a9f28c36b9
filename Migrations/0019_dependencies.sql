-- 0019: jobs that wait for others, and what becomes of them when those end.
-- Locks:   jobs and job_dependencies against everything, for a moment; the index jobs_workflow is built anew.
-- Rollout: before the workers of this version. Earlier ones run jobs of workflows, but put no results into payloads.
-- Growth:  job_workflows: a row per workflow; it goes when retention takes the last of its jobs. job_dependencies: a row for
--          each pair of child and parent.
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

-- Rights.
REVOKE ALL ON FUNCTION jobworker.has_ended(text), jobworker.note_outcome(), jobworker.note_deleted(),
    jobworker.lock_children(uuid[], text[], boolean), jobworker.judge_children(uuid[], uuid[]), jobworker.settle_noted(boolean),
    jobworker.settle_all_noted(), jobworker.settle_dependents(), jobworker.settle_backlog(int),
    jobworker.on_child_retried(), jobworker.on_child_insert(), jobworker.on_dependencies_added(),
    jobworker.on_dependencies_removed(), jobworker.refuse_dependency_update() FROM PUBLIC;
-- It believes what the tables say, and nothing else.
GRANT EXECUTE ON FUNCTION jobworker.settle_backlog(int) TO jobworker;

ALTER TABLE public.job_workflows ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON public.job_workflows FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.job_workflows TO service_role, jobworker;
GRANT SELECT ON public.job_workflows TO authenticated;
CREATE POLICY jobworker_worker ON public.job_workflows TO jobworker USING (true) WITH CHECK (true);
CREATE POLICY jobworker_service ON public.job_workflows TO service_role USING (true) WITH CHECK (true);
CREATE POLICY jobworker_member_select ON public.job_workflows FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
