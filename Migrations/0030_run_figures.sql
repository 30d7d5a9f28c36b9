-- 0030: what ran, by minute and by quarter of an hour: for the charts of the dashboard, whatever the size of jobs.
-- Locks:   none on tables in use.
-- Rollout: before the workers of this version; what earlier ones run isn't counted.
-- Growth:  for each queue and type a row a minute for three hours, and a row a quarter of an hour for eight days, where
--          something ran; workers take the older ones.
-- Cost:    none for a job: a worker adds up what ended in it, and stores the sums with one statement every ten seconds.

CREATE TABLE jobworker.run_figures (
    span      int NOT NULL CHECK (span IN (60, 900)),   -- seconds
    starts_at timestamptz NOT NULL,
    queue     text NOT NULL,
    job_type  text NOT NULL,
    completed int NOT NULL,
    failed    int NOT NULL,                             -- for good
    retried   int NOT NULL,                             -- attempts that failed and were to be followed by another
    -- How many of them waited, and ran, for how long: counts for bounds that stand in the program (RunTally).
    waits     int[] NOT NULL,
    runs      int[] NOT NULL,
    PRIMARY KEY (span, starts_at, queue, job_type)
) WITH (fillfactor = 50);
ALTER TABLE jobworker.run_figures ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.run_figures FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobworker.run_figures TO jobworker;
CREATE POLICY jobworker_worker ON jobworker.run_figures TO jobworker USING (true) WITH CHECK (true);
