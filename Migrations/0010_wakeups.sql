-- 0010: wake-ups go to workers that wait, and to no more of them than there are jobs.
-- Locks:   jobs and job_queues against everything, for a moment.
-- Rollout: workers of earlier versions hear nothing any more and find jobs by their timer.
-- Growth:  a row per waiting worker.

-- NOTIFY makes commits wait for each other, so nobody is notified who wouldn't listen: a worker says here that it
-- waits, then looks once more, and only then sleeps. Busy workers look again by themselves. A row that a dead worker
-- left behind ends with its time.
--
-- Not logged: a row is only as old as its worker's last look, and writing it waits for no disk.
CREATE UNLOGGED TABLE jobworker.waiting_workers (
    worker_id text PRIMARY KEY,
    channel   text NOT NULL,
    queues    text[] NOT NULL,                              -- '*' for all
    until     timestamptz NOT NULL,
    lot       double precision NOT NULL DEFAULT random()    -- where wake-ups begin to look for one is drawn, too
) WITH (fillfactor = 50);
CREATE INDEX waiting_workers_lot ON jobworker.waiting_workers (lot);
ALTER TABLE jobworker.waiting_workers ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.waiting_workers FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobworker.waiting_workers TO jobworker;
CREATE POLICY jobworker_worker ON jobworker.waiting_workers TO jobworker USING (true) WITH CHECK (true);

-- Wakes as many waiting workers of this queue as there are jobs.
-- The message: priority, due time in microseconds since 1970, queue; it tells the worker where to look. Without a
-- priority it is about all of the queue.
CREATE FUNCTION jobworker.wake(queue text, priority int, due_at timestamptz, jobs bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    start constant double precision := random();
    message constant text := coalesce(priority || ' ' || (extract(epoch FROM due_at) * 1000000)::bigint, '- -') || ' ' || queue;
    woken bigint;
BEGIN
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
REVOKE ALL ON FUNCTION jobworker.wake(text, int, timestamptz, bigint) FROM PUBLIC;

CREATE OR REPLACE FUNCTION jobworker.announce_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM jobworker.waiting_workers) THEN
        PERFORM jobworker.wake(added.queue, added.priority, min(added.due_at), count(*))
        FROM (SELECT coalesce(job_queue, 'default') AS queue, coalesce(priority, 0) AS priority,
                     greatest(created_at, scheduled_for, next_retry_at) AS due_at
              FROM inserted WHERE status = 'pending') AS added
        WHERE added.due_at <= clock_timestamp()
        GROUP BY added.queue, added.priority;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION jobworker.announce_due() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM jobworker.wake(coalesce(NEW.job_queue, 'default'), coalesce(NEW.priority, 0),
                           greatest(NEW.created_at, NEW.scheduled_for, NEW.next_retry_at), 1);
    RETURN NULL;
END
$$;

-- What a pause or a cap held back may start now: as much as all workers can take.
CREATE OR REPLACE FUNCTION jobworker.announce_queue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM jobworker.wake(OLD.name, NULL, NULL, 1000000);
    RETURN NULL;
END
$$;

-- A row that says all it must calls no function: that costs a tenth of an insert.
ALTER TABLE public.jobs ALTER COLUMN inserted_by SET DEFAULT current_user;
CREATE OR REPLACE TRIGGER jobs_insert BEFORE INSERT ON public.jobs
    FOR EACH ROW WHEN (
        num_nulls(NEW.job_queue, NEW.priority, NEW.attempts, NEW.max_attempts, NEW.progress, NEW.created_at) > 0
        OR NEW.inserted_by IS DISTINCT FROM current_user)
    EXECUTE FUNCTION jobworker.on_job_insert();
