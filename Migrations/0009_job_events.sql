-- 0009: tells processes that watch jobs which ones have changed.
-- Locks:   jobs against writes, for a moment (triggers).
-- Rollout: any order; older workers don't listen.
-- Growth:  watchers: a row for each process that has live pages open.
-- Cost:    nothing is sent while nobody watches: then each change of a status reads the empty table of watchers.

CREATE TABLE jobworker.watchers (
    id         text PRIMARY KEY,
    until      timestamptz NOT NULL            -- renewed while it watches; a row that is over counts for nothing
);
ALTER TABLE jobworker.watchers ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.watchers FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobworker.watchers TO jobworker;
CREATE POLICY jobworker_worker ON jobworker.watchers TO jobworker USING (true) WITH CHECK (true);

-- The id alone: who gets it, any role that may listen, looks the rest up with its own rights.
CREATE FUNCTION jobworker.announce_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM jobworker.watchers WHERE until > clock_timestamp()) THEN
        PERFORM pg_notify('jobworker_changed', coalesce(NEW.id, OLD.id)::text);
    END IF;
    RETURN NULL;
END
$$;

-- Heartbeats name none of these columns, so they never get here.
CREATE TRIGGER jobs_announce_change
    AFTER UPDATE OF status, progress, priority, scheduled_for, next_retry_at ON public.jobs
    FOR EACH ROW WHEN (
        NEW.status IS DISTINCT FROM OLD.status OR NEW.progress IS DISTINCT FROM OLD.progress
        OR NEW.priority IS DISTINCT FROM OLD.priority OR NEW.scheduled_for IS DISTINCT FROM OLD.scheduled_for
        OR NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at)
    EXECUTE FUNCTION jobworker.announce_change();
CREATE TRIGGER jobs_announce_delete AFTER DELETE ON public.jobs
    FOR EACH ROW EXECUTE FUNCTION jobworker.announce_change();

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
    FOR EACH STATEMENT EXECUTE FUNCTION jobworker.announce_added();

REVOKE ALL ON FUNCTION jobworker.announce_change(), jobworker.announce_added() FROM PUBLIC;
