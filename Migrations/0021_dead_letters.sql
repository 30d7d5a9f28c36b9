-- 0021: dead letters are filled by the database, and failed jobs are grouped by their error.
-- Locks:   jobs, job_queues and dead_letter_queue against everything, for a moment; then the rows of failed jobs, while
--          each gets its group: some ten seconds per hundred thousand.
-- Rollout: before the workers of this version. Earlier ones go on, and their failures are grouped as well.
-- Growth:  none.
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
    is_trusted constant boolean := jobworker.is_trusted();
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

REVOKE ALL ON FUNCTION jobworker.error_pattern(text), jobworker.error_group(text, text), jobworker.on_job_failed(),
    jobworker.on_dead_letter(), jobworker.on_dead_letter_settled(), jobworker.set_failed_aside() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.error_pattern(text), jobworker.error_group(text, text)
    TO authenticated, service_role, jobworker;
