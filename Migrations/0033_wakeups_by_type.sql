-- 0033: wake-ups go to workers that serve the type of the job.
-- Locks:   what workers say of themselves against everything, for a moment.
-- Rollout: workers of earlier versions don't tell their types, and are woken for all.
-- Growth:  the types of a worker in its row.
-- Cost:    a comparison for each waiting worker that an insert looks at.

-- NULL for all.
ALTER TABLE jobworker.waiting_workers ADD COLUMN job_types text[];

-- As in 0015. A type of NULL stands for any: which job it is, only a look tells.
DROP FUNCTION jobworker.wake(text, int, timestamptz, bigint);
CREATE FUNCTION jobworker.wake(
    queue text, priority int, due_at timestamptz, jobs bigint, job_type text DEFAULT NULL
) RETURNS void
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
                AND (job_types IS NULL OR wake.job_type IS NULL OR wake.job_type = ANY (job_types))
              ORDER BY lot < start, lot LIMIT jobs + 1) AS w;
        RETURN;
    END IF;
    -- The application may write any time, also one without a number.
    message := coalesce(CASE WHEN due_at >= '1970-01-01 00:00+00'
                             THEN priority || ' ' || (extract(epoch FROM due_at) * 1000000)::bigint END, '- -') || ' ' || queue;
    PERFORM pg_notify(w.channel, message)
    FROM (SELECT channel FROM jobworker.waiting_workers
          WHERE lot >= start AND until > clock_timestamp() AND queues && ARRAY[wake.queue, '*']
            AND (job_types IS NULL OR wake.job_type IS NULL OR wake.job_type = ANY (job_types))
          ORDER BY lot LIMIT jobs) AS w;
    GET DIAGNOSTICS woken = ROW_COUNT;
    IF woken < jobs THEN
        PERFORM pg_notify(w.channel, message)
        FROM (SELECT channel FROM jobworker.waiting_workers
              WHERE lot < start AND until > clock_timestamp() AND queues && ARRAY[wake.queue, '*']
                AND (job_types IS NULL OR wake.job_type IS NULL OR wake.job_type = ANY (job_types))
              ORDER BY lot LIMIT jobs - woken) AS w;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION jobworker.wake(text, int, timestamptz, bigint, text) FROM PUBLIC;
-- A worker without a free slot passes on what it was told.
GRANT EXECUTE ON FUNCTION jobworker.wake(text, int, timestamptz, bigint, text) TO jobworker;

-- As in 0025.
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
                               greatest(NEW.created_at, NEW.scheduled_for, NEW.next_retry_at), 1, NEW.job_type);
    END IF;
    RETURN NULL;
END
$$;

-- As in 0028.
CREATE OR REPLACE FUNCTION jobworker.announce_inserted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    start constant double precision := random();
    added record;
    target text;
BEGIN
    SELECT count(*) AS jobs, min(id::text) AS id, min(type) AS type, min(queue) AS queue, min(priority) AS priority,
           min(due_at) AS due_at
    INTO added
    FROM (SELECT id, job_type::text AS type, coalesce(job_queue, 'default')::text AS queue,
                 coalesce(priority, 0) AS priority, greatest(created_at, scheduled_for, next_retry_at) AS due_at
          FROM inserted WHERE status = 'pending' LIMIT 2) AS first_two;
    IF added.jobs = 1 AND added.due_at BETWEEN '1970-01-01 00:00+00' AND clock_timestamp() THEN
        SELECT channel INTO target FROM jobworker.waiting_workers
        WHERE lot >= start AND until > clock_timestamp() AND queues && ARRAY[added.queue, '*']
          AND (job_types IS NULL OR added.type = ANY (job_types))
        ORDER BY lot LIMIT 1;
        IF NOT FOUND THEN
            SELECT channel INTO target FROM jobworker.waiting_workers
            WHERE lot < start AND until > clock_timestamp() AND queues && ARRAY[added.queue, '*']
              AND (job_types IS NULL OR added.type = ANY (job_types))
            ORDER BY lot LIMIT 1;
        END IF;
        IF FOUND THEN
            PERFORM pg_notify(target, 'job ' || added.id || ' ' || added.priority || ' '
                                      || (extract(epoch FROM added.due_at) * 1000000)::bigint || ' ' || added.queue);
        END IF;
    ELSIF added.jobs > 0 AND EXISTS (SELECT FROM jobworker.waiting_workers) THEN
        PERFORM jobworker.wake(lane.queue, lane.priority, lane.due_at, lane.jobs, lane.type)
        -- For each type as many as there are jobs of the lane: drawn for each type alone, some workers would be drawn
        -- twice and others, who serve several, not at all. Who is told the same twice hears it once.
        FROM (SELECT queue, priority, type, min(min(due_at)) OVER whole AS due_at, (sum(count(*)) OVER whole)::bigint AS jobs
              FROM (SELECT coalesce(job_queue, 'default')::text AS queue, coalesce(priority, 0) AS priority,
                           job_type::text AS type, greatest(created_at, scheduled_for, next_retry_at) AS due_at,
                           greatest(created_at, scheduled_for, next_retry_at) > clock_timestamp() AS is_later
                    FROM inserted WHERE status = 'pending') AS pending
              WHERE due_at <= clock_timestamp() + interval '1 hour'
              GROUP BY queue, priority, type, is_later
              WINDOW whole AS (PARTITION BY queue, priority, is_later)) AS lane;
    END IF;
    RETURN NULL;
END
$$;
