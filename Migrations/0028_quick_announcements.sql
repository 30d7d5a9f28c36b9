-- 0028: a job added one by one starts sooner: its announcement takes less, and names the job.
-- Locks:   jobs against everything, what workers and watchers say of themselves against writes, for a moment (triggers).
-- Rollout: workers of earlier versions read an announcement with a job's id as one of something somewhere, and poll.
-- Growth:  none.
-- Cost:    of the server's time for a lone INSERT with 10 ms between statements, so that nothing is in the processor's
--          caches, announcing it was a quarter (0.25 of 1 ms), as two functions with four statements; now it is a
--          sixth, and nothing while no worker waits.
--          Asking whether somebody watches, which is seldom so, was 0.07 ms of each statement that changes jobs.

-- A sequence as a flag: not null as long as somebody may be listening. Read in WHEN, where it costs no function. Beside
-- transactions, so it is set before a listener's row is there, and unset only where there can't be one: the rows of a
-- listener end with its DELETE, or with their time, after which it comes back by an INSERT.
CREATE SEQUENCE jobworker.workers_waiting AS int MAXVALUE 2 NO CYCLE;
CREATE SEQUENCE jobworker.changes_watched AS int MAXVALUE 2 NO CYCLE;
REVOKE ALL ON SEQUENCE jobworker.workers_waiting, jobworker.changes_watched FROM PUBLIC;
-- Whoever adds or changes a job reads them.
GRANT SELECT ON SEQUENCE jobworker.workers_waiting, jobworker.changes_watched TO PUBLIC;

-- Argument: the sequence.
CREATE FUNCTION jobworker.raise_flag() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM setval(TG_ARGV[0]::regclass, 1) WHERE pg_sequence_last_value(TG_ARGV[0]::regclass) IS NULL;
    RETURN NULL;
END
$$;

-- Argument: the sequence. Waits for nobody: while another listener comes or goes, this is left to who asks next. Workers
-- that don't wait ask again now and then.
CREATE FUNCTION jobworker.lower_flag() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    look constant text := format('SELECT EXISTS (SELECT FROM %s WHERE until > clock_timestamp())', TG_RELID::regclass);
    is_listening boolean;
BEGIN
    EXECUTE look INTO is_listening;
    IF NOT is_listening AND pg_sequence_last_value(TG_ARGV[0]::regclass) IS NOT NULL THEN
        EXECUTE format('LOCK TABLE %s IN SHARE MODE NOWAIT', TG_RELID::regclass);
        EXECUTE look INTO is_listening;
        IF NOT is_listening THEN
            PERFORM setval(TG_ARGV[0]::regclass, 1, false);
        END IF;
    END IF;
    RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;

-- Before any lock on jobs: the timer's look of a worker takes the two in this order.
CREATE TRIGGER waiting_workers_come BEFORE INSERT ON jobworker.waiting_workers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.raise_flag('jobworker.workers_waiting');
CREATE TRIGGER waiting_workers_go AFTER DELETE ON jobworker.waiting_workers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.lower_flag('jobworker.workers_waiting');
CREATE TRIGGER watchers_come BEFORE INSERT ON jobworker.watchers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.raise_flag('jobworker.changes_watched');
CREATE TRIGGER watchers_go AFTER DELETE ON jobworker.watchers
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.lower_flag('jobworker.changes_watched');
SELECT setval('jobworker.workers_waiting', 1) WHERE EXISTS (SELECT FROM jobworker.waiting_workers);
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

REVOKE ALL ON FUNCTION jobworker.raise_flag(), jobworker.lower_flag(), jobworker.announce_added() FROM PUBLIC;
