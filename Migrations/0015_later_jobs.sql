-- 0015: workers that wait also hear of jobs that become due before they look by themselves, so that these start in time.
-- Locks:   jobs against everything, for a moment.
-- Rollout: workers of earlier versions aren't told of such jobs and find them by their timer.
-- Growth:  none.
-- Cost:    an insert of jobs that are due pays nothing for it.

-- When the worker looks at the latest, whoever wakes it.
ALTER TABLE jobworker.waiting_workers ADD COLUMN looks_at timestamptz NOT NULL DEFAULT '-infinity';

-- Wakes as many waiting workers of this queue as there are jobs; of jobs that become due later, only workers that would
-- miss the time are told, and one more, should one be about to stop.
-- The message: priority, due time in microseconds since 1970, queue; it tells the worker where to look, and begins with
-- "at" where the time is to come. Without a priority it is about all of the queue.
CREATE OR REPLACE FUNCTION jobworker.wake(queue text, priority int, due_at timestamptz, jobs bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    start constant double precision := random();
    is_later constant boolean := coalesce(due_at > clock_timestamp(), false);
    message text;
    woken bigint;
BEGIN
    IF is_later THEN
        -- No worker looks more seldom; and a time without end has no number.
        IF due_at > clock_timestamp() + interval '1 hour' THEN
            RETURN;
        END IF;
        message := 'at ' || coalesce(priority, 0) || ' ' || (extract(epoch FROM due_at) * 1000000)::bigint || ' ' || queue;
        PERFORM pg_notify(w.channel, message)
        FROM (SELECT channel FROM jobworker.waiting_workers
              WHERE until > clock_timestamp() AND looks_at > due_at AND queues && ARRAY[wake.queue, '*']
              ORDER BY lot < start, lot LIMIT jobs + 1) AS w;
        RETURN;
    END IF;
    message := coalesce(priority || ' ' || (extract(epoch FROM due_at) * 1000000)::bigint, '- -') || ' ' || queue;
    PERFORM pg_notify(w.channel, message)
    FROM (SELECT channel FROM jobworker.waiting_workers
          WHERE lot >= start AND until > clock_timestamp() AND queues && ARRAY[wake.queue, '*']
          ORDER BY lot LIMIT jobs) AS w;
    GET DIAGNOSTICS woken = ROW_COUNT;
    IF woken < jobs THEN
        PERFORM pg_notify(w.channel, message)
        FROM (SELECT channel FROM jobworker.waiting_workers
              WHERE lot < start AND until > clock_timestamp() AND queues && ARRAY[wake.queue, '*']
              ORDER BY lot LIMIT jobs - woken) AS w;
    END IF;
END
$$;

-- Also a retry soon, or a job moved to an earlier time that is still to come.
DROP TRIGGER jobs_announce_due ON public.jobs;
CREATE TRIGGER jobs_announce_due AFTER UPDATE ON public.jobs
    FOR EACH ROW WHEN (
        NEW.status = 'pending'
        AND (OLD.status IS DISTINCT FROM 'pending'
             OR (OLD.lease_open AND NOT NEW.lease_open)
             OR NEW.scheduled_for IS DISTINCT FROM OLD.scheduled_for
             OR NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at
             OR NEW.priority IS DISTINCT FROM OLD.priority
             OR NEW.job_queue IS DISTINCT FROM OLD.job_queue)
        AND greatest(NEW.created_at, NEW.scheduled_for, NEW.next_retry_at) <= clock_timestamp() + interval '1 hour')
    EXECUTE FUNCTION jobworker.announce_due();
