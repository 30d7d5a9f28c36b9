-- 0031: lists by worker, and by a text in errors, are as fast for what is rare or not there at all.
-- Locks:   jobs against writes while the indexes are built: some two seconds per million rows, and three for each hundred
--          thousand with an error. Who can't wait that long makes them beforehand, under the same names and as they stand
--          here, with CREATE INDEX CONCURRENTLY.
-- Rollout: any order; without them lists only take longer.
-- Growth:  jobs_by_worker has an entry of 24 bytes for each job that a worker has had; jobs_error_text some hundred
--          entries for each with an error.
-- Cost:    jobs_by_worker: two in a hundred (claim and completion by pgbench, nine rounds in turn, means: 21 118 jobs a
--          second without it, 20 664 with it, 20 160 with the worker's name and the job's id in it) and 82 bytes of log.
--          jobs_error_text: nothing for jobs that go well. For those that fail 45 us and 4.4 kB of log each (12 500
--          failures a second without it, 8 000 with it), where a list took 70 to 350 ms for each hundred
--          thousand with an error, by how much of the table is in memory.

-- Workers are few, and their names long: the name itself is compared in the row.
CREATE INDEX IF NOT EXISTS jobs_by_worker ON public.jobs (hashtext(worker_id), created_at DESC)
    WHERE worker_id IS NOT NULL AND status IS DISTINCT FROM 'processing';

-- The extension comes with PostgreSQL; where it isn't installed and this role may not do so, lists by a text read all
-- errors, and `doctor` tells.
DO $$
DECLARE
    home text := (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm');
BEGIN
    IF home IS NULL THEN
        BEGIN
            CREATE EXTENSION pg_trgm WITH SCHEMA jobworker;
            home := 'jobworker';
        EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
            RAISE NOTICE 'Without the extension pg_trgm a search in errors reads all of them: %', SQLERRM;
            RETURN;
        END;
    END IF;
    EXECUTE format('CREATE INDEX IF NOT EXISTS jobs_error_text ON public.jobs USING gin (error_message %s.gin_trgm_ops)
                    WHERE error_message IS NOT NULL', home);
END
$$;
