-- 0025: conditions of triggers on jobs are short.
-- Locks:   jobs against writes, for a moment (triggers).
-- Rollout: any order.
-- Growth:  none.
-- Cost:    each statement that updates jobs reads the condition of each trigger anew, from a text of a kilobyte or more
--          where it compares a few columns: some 4 us per kilobyte, more than the trigger's function would take. So
--          WHEN holds only what lets a claim, a heartbeat and a completion pass, and the function looks at the rest.

CREATE OR REPLACE FUNCTION jobworker.announce_cancelled() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.status = 'processing' THEN
        PERFORM pg_notify('jobworker_cancel', '');
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_announce_cancelled ON public.jobs;
CREATE TRIGGER jobs_announce_cancelled AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status = 'cancelled')
    EXECUTE FUNCTION jobworker.announce_cancelled();

-- Who changes the job is asked in WHEN: the function has its owner's rights.
CREATE OR REPLACE FUNCTION jobworker.on_job_changed_by_hand() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (NEW.status = 'cancelled' AND OLD.status IN ('pending', 'blocked', 'processing'))
       OR (NEW.status = 'pending' AND OLD.status IN ('failed', 'dead_letter', 'cancelled'))
       OR (NEW.status = 'pending' AND OLD.status = 'pending'
           AND current_setting('jobworker.retry_now', true) = NEW.id::text) THEN
        PERFORM jobworker.record_job_change(NEW, OLD);
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_record_change ON public.jobs;
CREATE TRIGGER jobs_record_change AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER'))
    EXECUTE FUNCTION jobworker.on_job_changed_by_hand();

-- As in 0015.
CREATE OR REPLACE FUNCTION jobworker.announce_due() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (OLD.status IS DISTINCT FROM 'pending'
        OR (OLD.lease_open AND NOT NEW.lease_open)
        OR NEW.scheduled_for IS DISTINCT FROM OLD.scheduled_for
        OR NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at
        OR NEW.priority IS DISTINCT FROM OLD.priority
        OR NEW.job_queue IS DISTINCT FROM OLD.job_queue)
       AND greatest(NEW.created_at, NEW.scheduled_for, NEW.next_retry_at) <= clock_timestamp() + interval '1 hour' THEN
        PERFORM jobworker.wake(coalesce(NEW.job_queue, 'default'), coalesce(NEW.priority, 0),
                               greatest(NEW.created_at, NEW.scheduled_for, NEW.next_retry_at), 1);
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_announce_due ON public.jobs;
CREATE TRIGGER jobs_announce_due AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status = 'pending')
    EXECUTE FUNCTION jobworker.announce_due();

-- As in 0018.
CREATE OR REPLACE FUNCTION jobworker.record_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    happened constant text := CASE NEW.status
        WHEN 'completed' THEN 'job.completed' WHEN 'failed' THEN 'job.failed'
        WHEN 'dead_letter' THEN 'job.dead_letter' WHEN 'cancelled' THEN 'job.cancelled'
        -- An attempt failed and another follows. One that was given back, or that waits, doesn't count.
        WHEN 'pending' THEN CASE WHEN OLD.status = 'processing' AND NEW.attempts >= OLD.attempts
                                      AND NEW.error_message IS NOT NULL THEN 'job.retried' END END;
BEGIN
    IF happened IS NULL OR NEW.status IS NOT DISTINCT FROM OLD.status THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.webhook_deliveries (endpoint_id, workspace_id, job_id, event, payload, created_at)
    SELECT endpoint.id, NEW.workspace_id, NEW.id, happened, jobworker.event_data(NEW), clock_timestamp()
    FROM public.webhook_endpoints AS endpoint
    WHERE endpoint.workspace_id = NEW.workspace_id AND endpoint.enabled
      AND coalesce(happened = ANY (endpoint.events), true)
      AND coalesce(NEW.job_type = ANY (endpoint.job_types), true)
    FOR KEY SHARE SKIP LOCKED;
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_record_event ON public.jobs;
CREATE TRIGGER jobs_record_event AFTER UPDATE OF status ON public.jobs
    FOR EACH ROW WHEN (pg_sequence_last_value('jobworker.webhooks_in_use') IS NOT NULL)
    EXECUTE FUNCTION jobworker.record_event();

-- As in 0019.
CREATE OR REPLACE FUNCTION jobworker.note_outcome() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jobworker.has_ended(OLD.status) = jobworker.has_ended(NEW.status) THEN
        RETURN NEW;
    END IF;
    INSERT INTO jobworker.dependency_notes (xact, parent, outcome)
    VALUES (pg_current_xact_id(), OLD.id, CASE WHEN jobworker.has_ended(NEW.status) THEN 'ended' ELSE 'revived' END);
    PERFORM set_config('jobworker.parents_changed', 'on', true);
    RETURN NEW;
END
$$;
DROP TRIGGER jobs_note_outcome ON public.jobs;
CREATE TRIGGER jobs_note_outcome BEFORE UPDATE OF status ON public.jobs
    FOR EACH ROW WHEN (OLD.dependents)
    EXECUTE FUNCTION jobworker.note_outcome();

CREATE OR REPLACE FUNCTION jobworker.on_child_retried() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    culprit uuid;
BEGIN
    -- Else it is a parent that lets it go.
    IF NEW.status IS DISTINCT FROM 'pending' OR NOT jobworker.has_ended(OLD.status)
       OR (NEW.cancelled_for IS NULL AND OLD.cancelled_for IS NOT NULL) THEN
        RETURN NEW;
    END IF;
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
DROP TRIGGER jobs_keep_waiting ON public.jobs;
CREATE TRIGGER jobs_keep_waiting BEFORE UPDATE OF status ON public.jobs
    FOR EACH ROW WHEN (NEW.blockers IS NOT NULL)
    EXECUTE FUNCTION jobworker.on_child_retried();

-- As in 0021. The name of the last trigger sorts behind all others, so that what else looks at a failure has seen it before.
CREATE OR REPLACE FUNCTION jobworker.on_job_failed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.error_group IS NOT NULL AND NEW.error_message IS NOT DISTINCT FROM OLD.error_message
           AND (OLD.status IS NOT DISTINCT FROM NEW.status OR OLD.status IS NOT DISTINCT FROM 'failed') THEN
            RETURN NEW;
        END IF;
    END IF;
    NEW.error_pattern := jobworker.error_pattern(NEW.error_message);
    NEW.error_group := jobworker.error_group(NEW.job_type, NEW.error_pattern);
    RETURN NEW;
END
$$;
DROP TRIGGER jobs_group_error ON public.jobs;
CREATE TRIGGER jobs_group_error BEFORE UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status IN ('failed', 'dead_letter'))
    EXECUTE FUNCTION jobworker.on_job_failed();

CREATE OR REPLACE FUNCTION jobworker.on_dead_letter() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.status IS NOT DISTINCT FROM 'dead_letter' THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type, payload, error_message, stack_trace, attempts,
                                          failed_at)
    VALUES (NEW.workspace_id, NEW.id, NEW.job_type, NEW.payload, NEW.error_message, NEW.error_stack,
            coalesce(NEW.attempts, 0), coalesce(NEW.failed_at, clock_timestamp()));
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_dead_letter ON public.jobs;
CREATE TRIGGER jobs_dead_letter AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status = 'dead_letter')
    EXECUTE FUNCTION jobworker.on_dead_letter();

CREATE OR REPLACE FUNCTION jobworker.on_dead_letter_settled() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.status IS NOT DISTINCT FROM 'dead_letter' THEN
            RETURN NULL;
        END IF;
    END IF;
    UPDATE public.dead_letter_queue
    SET status = CASE TG_OP WHEN 'DELETE' THEN 'ignored' ELSE 'resolved' END,
        resolved_at = clock_timestamp(), resolved_by_name = jobworker.acting_name(),
        resolved_by = (SELECT id FROM auth.users WHERE id = jobworker.user_id()),
        resolution_notes = coalesce(jobworker.acting_reason(), resolution_notes)
    WHERE job_id = OLD.id AND status IN ('pending', 'investigating');
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_dead_letter_resolved ON public.jobs;
CREATE TRIGGER jobs_dead_letter_resolved AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (OLD.status = 'dead_letter')
    EXECUTE FUNCTION jobworker.on_dead_letter_settled();

CREATE OR REPLACE FUNCTION jobworker.set_failed_aside() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.status IS DISTINCT FROM 'failed' AND EXISTS (
               SELECT FROM public.job_queues AS queue
               WHERE queue.name = coalesce(NEW.job_queue, 'default') AND queue.dead_letter) THEN
        UPDATE public.jobs SET status = 'dead_letter' WHERE id = NEW.id AND status = 'failed';
        INSERT INTO public.job_logs (job_id, log_level, message, metadata)
        VALUES (NEW.id, 'info', 'Set aside as a dead letter, as its queue has it',
                jsonb_build_object('queue', coalesce(NEW.job_queue, 'default')));
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_zz_set_failed_aside ON public.jobs;
CREATE TRIGGER jobs_zz_set_failed_aside AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (NEW.status = 'failed')
    EXECUTE FUNCTION jobworker.set_failed_aside();

-- As in 0024.
CREATE OR REPLACE FUNCTION jobworker.announce_place() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.status = 'processing' OR NEW.lease_open THEN
            RETURN NULL;
        END IF;
    END IF;
    IF OLD.status = 'processing' OR OLD.lease_open THEN
        PERFORM jobworker.wake(coalesce(OLD.job_queue, 'default'), coalesce(OLD.priority, 0),
                               greatest(OLD.created_at, OLD.scheduled_for, OLD.next_retry_at), 1);
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_leave_place ON public.jobs;
CREATE TRIGGER jobs_leave_place AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (OLD.leaves_place)
    EXECUTE FUNCTION jobworker.announce_place();
DROP TRIGGER jobs_leave_place_deleted ON public.jobs;
CREATE TRIGGER jobs_leave_place_deleted AFTER DELETE ON public.jobs
    FOR EACH ROW WHEN (OLD.leaves_place)
    EXECUTE FUNCTION jobworker.announce_place();
