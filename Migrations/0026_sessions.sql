-- 0026: who is signed in at the dashboard. In a table, so that all workers behind one address know it.
-- Locks:   none on tables in use.
-- Rollout: before the workers of this version; earlier ones don't look at it.
-- Growth:  a row for each sign-in, until it ends; what is over goes with the next sign-in.

CREATE TABLE jobworker.sessions (
    digest     text PRIMARY KEY,                -- of the cookie: who reads this table can't sign in with it
    mark       text,                            -- of the operator's token; the session ends when that is taken away
    name       text,                            -- the operator's
    user_id    uuid,                            -- the member's
    claims     text,                            -- the member's, as the genuine token told them
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CHECK ((mark IS NULL) = (user_id IS NOT NULL AND claims IS NOT NULL))
);
CREATE INDEX sessions_end ON jobworker.sessions (expires_at);
ALTER TABLE jobworker.sessions ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON jobworker.sessions FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON jobworker.sessions TO jobworker;
CREATE POLICY jobworker_worker ON jobworker.sessions TO jobworker USING (true) WITH CHECK (true);
