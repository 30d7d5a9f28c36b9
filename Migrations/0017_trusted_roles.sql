-- 0017: who acts for everybody, asked in one place.
-- Locks:   none.
-- Rollout: any order.
-- Growth:  none.

-- Whether who acts may do so in any workspace: the program, and the application's server. An owner would be a member of
-- every role, so it is asked who acts, not as whom a function runs.
CREATE FUNCTION jobworker.is_trusted() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
        OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER')
$$;
