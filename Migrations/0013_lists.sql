-- 0013: lists of jobs over all workspaces, newest first, without reading the whole table.
-- Locks:   jobs against writes while the indexes are built: some four seconds per million rows. Who can't wait that long
--          makes them beforehand, under the same names and as they stand here, with CREATE INDEX CONCURRENTLY.
-- Rollout: any order; without them lists only take longer.
-- Growth:  jobs_newest has an entry per job; the others only one for each job of their kind.
-- Cost:    jobs_newest a tenth of the server's time for a job's row from insert to completion, and 100 bytes of log at
--          each of the three steps; a list of ten million jobs takes a millisecond with it, and seconds without. The others
--          cost nothing measurable: a job that goes well never enters them.

CREATE INDEX IF NOT EXISTS jobs_newest ON public.jobs (created_at DESC, id DESC);

-- What people look for among many that went well. A job waits in `blocked` once, and ends in one of the others.
CREATE INDEX IF NOT EXISTS jobs_out_of_the_ordinary ON public.jobs (status, created_at DESC, id DESC)
    WHERE status IN ('blocked', 'failed', 'dead_letter', 'cancelled');
CREATE INDEX IF NOT EXISTS jobs_workspace_out_of_the_ordinary
    ON public.jobs (workspace_id, status, created_at DESC, id DESC)
    WHERE status IN ('blocked', 'failed', 'dead_letter', 'cancelled');
CREATE INDEX IF NOT EXISTS jobs_with_error ON public.jobs (created_at DESC, id DESC) WHERE error_message IS NOT NULL;
CREATE INDEX IF NOT EXISTS jobs_keyed ON public.jobs (unique_key, created_at DESC, id DESC) WHERE unique_key IS NOT NULL;
