-- 0014: what a schedule may hold is bounded, whoever steers it answers for it, and removing one touches none of its jobs.
-- Locks:   job_schedules and jobs against everything, for a moment; a few rows of job_schedules are rewritten.
-- Rollout: workers of the version before go on with it; a time that they can't hold never reaches them any more.
-- Growth:  none.

-- The repairs are no changes of anybody's: they are not audited, announced or credited to who migrates.
ALTER TABLE public.job_schedules DISABLE TRIGGER USER;

-- Times that no worker can count with: each finds out anew when the next one is.
UPDATE public.job_schedules SET next_run_at = NULL, last_error = NULL
WHERE next_run_at NOT BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z';

-- Given up by a machine that lacks a time zone; others may have it.
UPDATE public.job_schedules SET last_error = NULL
WHERE next_run_at IS NULL
  AND (last_error LIKE 'this machine knows no time zones%' OR last_error LIKE 'the time zone ''%'' is not known%'
       OR last_error LIKE 'the file of the time zone%');

-- 0012 credited each row that was there to the role that migrated, so that jobs of a member's schedule came to have the
-- rights of the tables' owner. Who wrote those rows is recorded nowhere: created_by is only set by the API. So those that
-- are still as 0012 left them get the least rights. Until 0012 no worker ran any schedule, so nothing that worked can
-- break by it; who needs more rights for one, as for a job type that only operators may use, writes it anew.
UPDATE public.job_schedules SET written_by = 'authenticated'
WHERE created_at < (SELECT applied_at FROM public.jobworker_migrations WHERE version = 12)
  AND written_by IN (current_user,
                     (SELECT pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class
                      WHERE oid = 'public.job_schedules'::regclass));

ALTER TABLE public.job_schedules ENABLE TRIGGER USER;

ALTER TABLE public.job_schedules
    ADD CONSTRAINT next_run_at_in_reach
    CHECK (next_run_at BETWEEN '1970-01-01T00:00:00Z'::timestamptz AND '2200-01-01T00:00:00Z'::timestamptz);

-- Who lets a schedule go on, or says when it runs next, arranges its jobs just as who writes them: else an admin could
-- run at will what an operator has written, with an operator's rights. The program and the application's server do so for
-- others, and the owner could do anything anyway, while a member's schedule must not gain rights by that.
CREATE FUNCTION jobworker.on_schedule_steered() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        NEW.written_by := current_user;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION jobworker.on_schedule_steered() FROM PUBLIC;
-- Comes after job_schedules_update, which keeps written_by, by its name.
CREATE TRIGGER job_schedules_update_steered BEFORE UPDATE OF next_run_at, enabled ON public.job_schedules
    FOR EACH ROW WHEN (
        (NEW.next_run_at IS DISTINCT FROM OLD.next_run_at OR (NEW.enabled AND NOT OLD.enabled))
        AND NOT pg_has_role('jobworker', 'MEMBER') AND NOT pg_has_role('service_role', 'MEMBER'))
    EXECUTE FUNCTION jobworker.on_schedule_steered();

-- Workers hear also of a schedule that stood still because of an error and now has a time again.
DROP TRIGGER announce_changed ON public.job_schedules;
CREATE TRIGGER announce_changed AFTER UPDATE ON public.job_schedules
    FOR EACH ROW WHEN (NEW.enabled AND (NEW.last_error IS NULL OR NEW.next_run_at IS NOT NULL)
                       AND (NOT OLD.enabled OR NEW.next_run_at IS NULL OR NEW.next_run_at < OLD.next_run_at
                            OR (OLD.next_run_at IS NULL AND OLD.last_error IS NOT NULL)))
    EXECUTE FUNCTION jobworker.announce_schedule();

-- ON DELETE SET NULL would write each job that a schedule ever made, in one statement and under one time limit. A job
-- keeps saying which schedule made it; ids never come again.
ALTER TABLE public.jobs DROP CONSTRAINT IF EXISTS jobs_schedule;
