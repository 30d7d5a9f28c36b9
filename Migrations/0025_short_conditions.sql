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
