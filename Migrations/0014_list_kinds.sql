-- 0014: lists are as fast for what is rare or not there at all.
-- Locks:   jobs against writes while the indexes are built: some four seconds per million rows. Who can't wait that long
--          makes them beforehand, under the same names and as they stand here, with CREATE INDEX CONCURRENTLY.
-- Rollout: with the workers of this version. Lists of earlier ones take seconds per million rows.
-- Growth:  an entry per job in each, about 60 bytes.
-- Cost:    two in a hundred, within what was measured twice (8 650 jobs a second from insert to completion before, 8 460
--          after; 5 % more log): a job enters jobs_by_state twice and jobs_by_kind once, where it entered jobs_newest
--          three times. That is what the conditions are for. With waiting jobs in jobs_by_kind as well it was 8 to 9 %;
--          with another index for worker_id 4 % more.
--
-- jobs_newest gave the newest jobs, among which a filter's were looked for one by one: two to five seconds in ten million
-- for a type, a queue, a priority or a state that nobody has. Now each filter has its entries together, in order:
--
--     state, time, or nothing      jobs_by_state: the newest of each state, merged
--     type, queue, priority        jobs_by_kind: the newest of each kind that is meant, merged
--     running                      jobs_processing: as few as there are slots
--     workspace; members           jobs_workspace_newest, jobs_workspace_out_of_the_ordinary
--     unique key, text, id         jobs_keyed, jobs_with_error, jobs_pkey
--
-- Measured with ten million jobs, 50 shown, found or not: below 10 ms each. Slower are a worker that ran few of them
-- (6 s), a text that is in none of 110 000 errors (0.1 s), a type that few of very many waiting jobs have (50 ms for each
-- hundred thousand that wait), and for a member what is rare in a large workspace (as long for its jobs). The
-- statements: Sources/JobWorker/Store/JobStore+Newest.swift.

CREATE INDEX IF NOT EXISTS jobs_by_state ON public.jobs (status, created_at DESC, id DESC)
    WHERE status IS DISTINCT FROM 'processing';
CREATE INDEX IF NOT EXISTS jobs_by_kind ON public.jobs (
    job_type, coalesce(job_queue, 'default'), coalesce(priority, 0), created_at DESC, id DESC
) WHERE status IS DISTINCT FROM 'processing' AND status IS DISTINCT FROM 'pending';

DROP INDEX IF EXISTS public.jobs_newest, public.jobs_out_of_the_ordinary;
