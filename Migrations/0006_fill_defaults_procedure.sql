-- 0006: the procedure that fills in what old rows of jobs leave open.
-- Locks:   none.
-- Rollout: only makes the procedure; the next file calls it.
-- Growth:  none.

-- Null means the default in these columns, for the worker and for people; filled in, every reader agrees. Rows without a
-- workspace, or with no or an unknown status, are nobody's to touch and stay as they are.
--
-- Commits after each batch, so that no row stays locked for long and a stop loses nothing; running it again does
-- what is left. (A procedure that commits can't fix its search_path, so every name in it is complete.)
CREATE PROCEDURE jobworker.adopt_fill_defaults(batch_size int DEFAULT 2000)
LANGUAGE plpgsql AS $$
DECLARE
    last uuid;
    seen int;
BEGIN
    LOOP
        WITH batch AS (
            -- In the order of the key, so that each row is looked at once.
            SELECT j.id FROM public.jobs AS j
            WHERE (last IS NULL OR j.id OPERATOR(pg_catalog.>) last)
            ORDER BY j.id
            LIMIT batch_size
        ), held AS (
            SELECT j.id FROM public.jobs AS j
            WHERE j.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT batch.id FROM batch))
              AND j.workspace_id IS NOT NULL
              AND j.status IN ('pending', 'blocked', 'processing', 'completed', 'failed', 'dead_letter', 'cancelled')
              AND (j.attempts IS NULL OR j.max_attempts IS NULL OR j.priority IS NULL OR j.job_queue IS NULL
                   OR j.progress IS NULL OR (j.created_at IS NULL AND j.status OPERATOR(pg_catalog.=) 'pending'))
            FOR NO KEY UPDATE
        ), filled AS (
            UPDATE public.jobs AS j
            SET attempts     = coalesce(j.attempts, 0),
                -- The check on both columns passes while one is null: don't let the default break it.
                max_attempts = coalesce(j.max_attempts, greatest(5, j.attempts)),
                priority     = coalesce(j.priority, 0),
                job_queue    = coalesce(j.job_queue, 'default'),
                progress     = coalesce(j.progress, '{}'),
                -- A pending row without any time would never become due.
                created_at   = CASE WHEN j.status OPERATOR(pg_catalog.=) 'pending'
                                    THEN coalesce(j.created_at, j.scheduled_for, pg_catalog.now()) ELSE j.created_at END
            WHERE j.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT held.id FROM held))
        )
        SELECT pg_catalog.count(*), (SELECT b.id FROM batch AS b ORDER BY b.id DESC LIMIT 1)
        INTO seen, last FROM batch;
        COMMIT;
        EXIT WHEN seen OPERATOR(pg_catalog.<) batch_size;
    END LOOP;
END
$$;
REVOKE ALL ON PROCEDURE jobworker.adopt_fill_defaults(int) FROM PUBLIC;
