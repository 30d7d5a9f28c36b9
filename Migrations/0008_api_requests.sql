-- 0008: what the HTTP API needs: requests that take effect once, deletion, replay, setting aside, many at once.
-- Locks:   none on tables in use.
-- Rollout: older workers don't know of these; apply before the new ones start.
-- Growth:  api_requests: a row for each request with an Idempotency-Key, for a day.

CREATE TABLE jobworker.api_requests (
    caller     text NOT NULL,
    key        text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    digest     text NOT NULL,
    status     int,                         -- null: in progress, in a transaction that hasn't ended
    answer     text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX api_requests_age ON jobworker.api_requests (created_at);
ALTER TABLE jobworker.api_requests ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.api_requests FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobworker.api_requests TO jobworker;
CREATE POLICY jobworker_worker ON jobworker.api_requests TO jobworker USING (true) WITH CHECK (true);

-- A new job from an old one, with another payload if one is given; the old one stays as it is. P0002: there is no such
-- job, or it isn't the caller's to see. As a member the policies decide who may.
CREATE FUNCTION jobworker.replay_job(job uuid, new_payload jsonb DEFAULT NULL) RETURNS public.jobs
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old public.jobs%ROWTYPE;
    added public.jobs%ROWTYPE;
BEGIN
    SELECT * INTO old FROM public.jobs WHERE id = job;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % not found', job USING ERRCODE = 'no_data_found';
    END IF;
    INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue, priority, max_attempts, timeout_seconds,
                             created_by, replay_of)
    -- A member may ask for ten attempts at most, whatever the old job had.
    VALUES (old.workspace_id, old.job_type, coalesce(new_payload, old.payload), old.job_queue, old.priority,
            CASE WHEN pg_has_role('jobworker', 'MEMBER') THEN old.max_attempts ELSE least(old.max_attempts, 10) END,
            old.timeout_seconds, jobworker.user_id(), old.id)
    RETURNING * INTO added;
    RETURN added;
END
$$;

-- Sets a failed job aside: dead_letter, with a row in dead_letter_queue. For admins of its workspace, and the program.
CREATE FUNCTION jobworker.set_aside_job(job uuid) RETURNS public.jobs
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
    IF NOT is_trusted AND NOT jobworker.is_admin(found_job.workspace_id) THEN
        RAISE EXCEPTION 'only admins of the workspace set jobs aside' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF found_job.status IS DISTINCT FROM 'failed' THEN
        RAISE EXCEPTION 'job % is % and can''t be set aside', job, coalesce(found_job.status, 'without a status')
            USING ERRCODE = 'JW409';
    END IF;
    UPDATE public.jobs SET status = 'dead_letter' WHERE id = job RETURNING * INTO found_job;
    INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type, payload, error_message, stack_trace, attempts,
                                          failed_at)
    VALUES (found_job.workspace_id, job, found_job.job_type, found_job.payload, found_job.error_message,
            found_job.error_stack, coalesce(found_job.attempts, 0), coalesce(found_job.failed_at, clock_timestamp()));
    INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, details)
    VALUES (found_job.workspace_id, job, jobworker.acting_name(), jobworker.acting_via(), 'job.set_aside',
            jsonb_build_object('role', jobworker.acting_role()));
    RETURN found_job;
END
$$;

-- Deletes a finished job with its log, settles its dead letters as ignored, and returns the job as it was. P0002 and
-- JW409 as for a cancel; 42501 for a member who is no admin.
CREATE FUNCTION jobworker.delete_job(job uuid) RETURNS public.jobs
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
        INSERT INTO public.job_audit (workspace_id, job_id, actor, via, action, subject, details)
        VALUES (found_job.workspace_id, job, jobworker.acting_name(), jobworker.acting_via(), 'job.delete',
                found_job.job_type, jsonb_build_object('from_status', found_job.status));
    END IF;
    RETURN found_job;
END
$$;

-- Does one of these to each of several jobs; those that aren't there or whose state doesn't allow it are passed over.
-- Returns how many were changed.
CREATE FUNCTION jobworker.change_jobs(action text, jobs uuid[]) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    job uuid;
    changed int := 0;
BEGIN
    FOREACH job IN ARRAY jobs LOOP
        BEGIN
            CASE action
                WHEN 'cancel' THEN PERFORM jobworker.cancel_job(job);
                WHEN 'retry' THEN PERFORM jobworker.retry_job(job);
                WHEN 'replay' THEN PERFORM jobworker.replay_job(job);
                WHEN 'delete' THEN PERFORM jobworker.delete_job(job);
                WHEN 'dead_letter' THEN PERFORM jobworker.set_aside_job(job);
            END CASE;
            changed := changed + 1;
        EXCEPTION WHEN no_data_found OR SQLSTATE 'JW409' OR lock_not_available THEN
            NULL;
        END;
    END LOOP;
    RETURN changed;
END
$$;

REVOKE ALL ON FUNCTION jobworker.replay_job(uuid, jsonb), jobworker.set_aside_job(uuid), jobworker.delete_job(uuid),
    jobworker.change_jobs(text, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.replay_job(uuid, jsonb), jobworker.set_aside_job(uuid), jobworker.delete_job(uuid),
    jobworker.change_jobs(text, uuid[]),
    -- They tell who one is.
    jobworker.acting_role(), jobworker.acting_name(), jobworker.acting_via()
    TO authenticated, service_role, jobworker;
