-- 0014: lists are as fast for what is rare or not there at all.
-- Locks:   jobs against writes while the indexes are built: some four seconds per million rows. Who can't wait that long
--          makes them beforehand, under the same names and as they stand here, with CREATE INDEX CONCURRENTLY.
-- Rollout: with the workers of this version. Lists of earlier ones take seconds per million rows.
-- Growth:  an entry per job in each, 70 to 80 bytes.
-- Cost:    three in a hundred (insert to completion, means of three rounds: 8 600 jobs a second before, 8 340 after; 240
--          bytes of log for each job more): a job enters jobs_by_state twice and jobs_by_kind once, where it entered
--          jobs_newest three times. That is what the conditions are for. With waiting jobs in jobs_by_kind too it was 9 %,
--          with the kind also in jobs_workspace_newest 8 %, with another index for worker_id 4 % more.
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
-- Measured with ten million jobs, 50 shown, found or not: below 20 ms each, most below 5. Slower are a worker that ran
-- few of them (6 s), a text in errors or at the start of an id where few of 110 000 errors have it (0.1 to 0.5 s), and for
-- a member a queue, priority or worker that is rare in a large workspace, or a type that is frequent elsewhere (0.1 s for
-- a hundred thousand jobs of it). The statements: Sources/JobWorker/Store/JobStore+Newest.swift.

-- The kind stands behind the order, where it is compared without a look at the row: so a type is looked for among all
-- jobs that wait.
CREATE INDEX IF NOT EXISTS jobs_by_state ON public.jobs (
    status, created_at DESC, id DESC, job_type, coalesce(job_queue, 'default'), coalesce(priority, 0)
) WHERE status IS DISTINCT FROM 'processing';
CREATE INDEX IF NOT EXISTS jobs_by_kind ON public.jobs (
    job_type, coalesce(job_queue, 'default'), coalesce(priority, 0), created_at DESC, id DESC
) WHERE status IS DISTINCT FROM 'processing' AND status IS DISTINCT FROM 'pending';

DROP INDEX IF EXISTS public.jobs_newest, public.jobs_out_of_the_ordinary;
