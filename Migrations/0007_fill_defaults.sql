-- 0007: fills in what old rows of jobs leave open: attempts, maximum, priority, queue, progress.
-- Locks:   each row that is filled, for the time of its batch of 2000.
-- Rollout: may run while workers run; safe to stop and to repeat. About 20 s per million rows to fill.
-- Growth:  none.
--
-- One statement outside of a transaction, as the procedure commits:
-- jobworker:no-transaction

CALL jobworker.adopt_fill_defaults();
