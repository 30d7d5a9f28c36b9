-- 0028: a job added one by one starts sooner: its announcement takes less, and names the job.
-- Locks:   jobs against everything, what workers and watchers say of themselves against writes, for a moment (triggers).
-- Rollout: workers of earlier versions read an announcement with a job's id as one of something somewhere, and poll.
-- Growth:  none.
-- Cost:    of the server's time for a lone INSERT with 10 ms between statements, so that nothing is in the processor's
--          caches, announcing it was a quarter (0.25 of 1 ms), as two functions with four statements; now it is a
--          sixth, and nothing while no worker waits.
--          Asking whether somebody watches, which is seldom so, was 0.07 ms of each statement that changes jobs.

-- Not null as long as a worker may be waiting: read in WHEN, where it costs no function while all are busy. Beside
-- transactions, so it is set before a worker's row is there, and unset only where there can't be one.
--
-- Before any lock on jobs: the timer's look of a worker takes the two in this order.
CREATE SEQUENCE jobworker.workers_waiting AS int MAXVALUE 2 NO CYCLE;
REVOKE ALL ON SEQUENCE jobworker.workers_waiting FROM PUBLIC;
-- Whoever adds a job reads it.
GRANT SELECT ON SEQUENCE jobworker.workers_waiting TO PUBLIC;

CREATE FUNCTION jobworker.on_waiting() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM setval('jobworker.workers_waiting', 1)
    WHERE pg_sequence_last_value('jobworker.workers_waiting') IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER waiting_workers_come BEFORE INSERT ON jobworker.waiting_workers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.on_waiting();

-- Waits for nobody: while another worker begins or ceases to wait, this is left to who asks next. Workers that don't wait
-- ask again now and then.
CREATE FUNCTION jobworker.on_waited() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Whose time has run out is woken no more, and comes back by an INSERT.
    IF NOT EXISTS (SELECT FROM jobworker.waiting_workers WHERE until > clock_timestamp()) THEN
        LOCK TABLE jobworker.waiting_workers IN SHARE MODE NOWAIT;
        PERFORM setval('jobworker.workers_waiting', 1, false)
        WHERE pg_sequence_last_value('jobworker.workers_waiting') IS NOT NULL
          AND NOT EXISTS (SELECT FROM jobworker.waiting_workers WHERE until > clock_timestamp());
    END IF;
    RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;
CREATE TRIGGER waiting_workers_go AFTER DELETE ON jobworker.waiting_workers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.on_waited();
SELECT setval('jobworker.workers_waiting', 1) WHERE EXISTS (SELECT FROM jobworker.waiting_workers);

-- Not null as long as somebody may be watching, likewise.
CREATE SEQUENCE jobworker.changes_watched AS int MAXVALUE 2 NO CYCLE;
REVOKE ALL ON SEQUENCE jobworker.changes_watched FROM PUBLIC;
-- Whoever changes a job reads it.
GRANT SELECT ON SEQUENCE jobworker.changes_watched TO PUBLIC;

CREATE FUNCTION jobworker.on_watching() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM setval('jobworker.changes_watched', 1)
    WHERE pg_sequence_last_value('jobworker.changes_watched') IS NULL;
    RETURN NULL;
END
$$;
CREATE TRIGGER watchers_come BEFORE INSERT ON jobworker.watchers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.on_watching();

-- Waits for nobody: while somebody else comes or goes, the next to go asks again.
CREATE FUNCTION jobworker.on_watched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM jobworker.watchers) THEN
        LOCK TABLE jobworker.watchers IN SHARE MODE NOWAIT;
        PERFORM setval('jobworker.changes_watched', 1, false) WHERE NOT EXISTS (SELECT FROM jobworker.watchers);
    END IF;
    RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;
CREATE TRIGGER watchers_go AFTER DELETE ON jobworker.watchers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.on_watched();
SELECT setval('jobworker.changes_watched', 1) WHERE EXISTS (SELECT FROM jobworker.watchers);

DROP TRIGGER jobs_announce_changed ON public.jobs;
CREATE TRIGGER jobs_announce_changed AFTER UPDATE ON public.jobs
    REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT WHEN (pg_sequence_last_value('jobworker.changes_watched') IS NOT NULL)
    EXECUTE FUNCTION jobworker.announce_changed();

DROP TRIGGER jobs_announce_deleted ON public.jobs;
CREATE TRIGGER jobs_announce_deleted AFTER DELETE ON public.jobs
    REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT WHEN (pg_sequence_last_value('jobworker.changes_watched') IS NOT NULL)
    EXECUTE FUNCTION jobworker.announce_deleted();

CREATE FUNCTION jobworker.announce_added() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM jobworker.watchers WHERE until > clock_timestamp()) THEN
        -- Of more than these a list is better read again.
        PERFORM pg_notify('jobworker_changed', id::text) FROM (SELECT id FROM inserted LIMIT 1000) AS added;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_announce_added AFTER INSERT ON public.jobs
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT WHEN (pg_sequence_last_value('jobworker.changes_watched') IS NOT NULL)
    EXECUTE FUNCTION jobworker.announce_added();

-- What jobworker.wake does, for all that a statement added. A job added alone, as most are, is announced with as little
-- as can be, and by its id: the message begins with "job" and that, and who has nothing else to look for takes it by it.
CREATE OR REPLACE FUNCTION jobworker.announce_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    start constant double precision := random();
    added record;
    target text;
BEGIN
    SELECT count(*) AS jobs, min(id::text) AS id, min(queue) AS queue, min(priority) AS priority, min(due_at) AS due_at
    INTO added
    FROM (SELECT id, coalesce(job_queue, 'default')::text AS queue, coalesce(priority, 0) AS priority,
                 greatest(created_at, scheduled_for, next_retry_at) AS due_at
          FROM inserted WHERE status = 'pending' LIMIT 2) AS first_two;
    IF added.jobs = 1 AND added.due_at <= clock_timestamp() THEN
        SELECT channel INTO target FROM jobworker.waiting_workers
        WHERE lot >= start AND until > clock_timestamp() AND queues && ARRAY[added.queue, '*']
        ORDER BY lot LIMIT 1;
        IF NOT FOUND THEN
            SELECT channel INTO target FROM jobworker.waiting_workers
            WHERE lot < start AND until > clock_timestamp() AND queues && ARRAY[added.queue, '*']
            ORDER BY lot LIMIT 1;
        END IF;
        IF FOUND THEN
            PERFORM pg_notify(target, 'job ' || added.id || ' ' || added.priority || ' '
                                      || (extract(epoch FROM added.due_at) * 1000000)::bigint || ' ' || added.queue);
        END IF;
    ELSIF added.jobs > 0 AND EXISTS (SELECT FROM jobworker.waiting_workers) THEN
        PERFORM jobworker.wake(lane.queue, lane.priority, lane.due_at, lane.jobs)
        FROM (SELECT queue, priority, min(due_at) AS due_at, count(*) AS jobs
              FROM (SELECT coalesce(job_queue, 'default') AS queue, coalesce(priority, 0) AS priority,
                           greatest(created_at, scheduled_for, next_retry_at) AS due_at
                    FROM inserted WHERE status = 'pending') AS pending
              WHERE due_at <= clock_timestamp() + interval '1 hour'
              GROUP BY queue, priority, due_at > clock_timestamp()) AS lane;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER jobs_announce_inserted ON public.jobs;
CREATE TRIGGER jobs_announce_inserted AFTER INSERT ON public.jobs
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT WHEN (pg_sequence_last_value('jobworker.workers_waiting') IS NOT NULL)
    EXECUTE FUNCTION jobworker.announce_inserted();

REVOKE ALL ON FUNCTION
    jobworker.on_watching(), jobworker.on_watched(), jobworker.announce_added(), jobworker.on_waiting(), jobworker.on_waited()
    FROM PUBLIC;
