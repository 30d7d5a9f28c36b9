-- 0001: the roles, the schema `jobworker` and the tools that adopt an existing database.
-- Locks:   none on tables; the cluster's list of roles for a moment, and only where a role is missing.
-- Rollout: first. Looks for whatever would stop the later files, so that a database that can't be
--          adopted is refused before anything in it has changed.
-- Growth:  replaced_policies gets a row for each row policy that is replaced, once.

-- What the existing database must allow. Nothing has changed when one of these is raised.
DO $$
DECLARE
    stranger text;
BEGIN
    IF current_setting('server_version_num')::int < 140000 THEN
        RAISE EXCEPTION 'PostgreSQL 14 or later is needed, this server is %', current_setting('server_version');
    END IF;

    SELECT string_agg(format('%I (owner %I)', c.relname, pg_get_userbyid(c.relowner)), ', ' ORDER BY c.relname)
    INTO stranger
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND c.relname IN ('jobs', 'job_logs', 'workspace_settings', 'enrichment_cache', 'rate_limits', 'dead_letter_queue')
      AND NOT pg_has_role(c.relowner, 'USAGE');
    IF stranger IS NOT NULL THEN
        RAISE EXCEPTION 'role % may not change these tables: %', current_user, stranger
            USING HINT = 'Run the migration as the owner of the tables, or as a member of that role.';
    END IF;

    IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'auth') THEN
        IF NOT has_schema_privilege('auth', 'USAGE') THEN
            RAISE EXCEPTION 'role % may not use the schema auth, where users are kept', current_user
                USING HINT = format(
                    'As its owner run: GRANT USAGE ON SCHEMA auth TO %1$I; GRANT SELECT, REFERENCES ON auth.users TO %1$I;',
                    current_user);
        END IF;
        IF to_regclass('auth.users') IS NOT NULL AND NOT (has_table_privilege('auth.users', 'REFERENCES')
                                                          AND has_table_privilege('auth.users', 'SELECT')) THEN
            RAISE EXCEPTION 'role % may not refer to the table auth.users', current_user
                USING HINT = format('As its owner run: GRANT SELECT, REFERENCES ON auth.users TO %I;', current_user);
        END IF;
    END IF;
END
$$;

-- Roles belong to the whole cluster: another database may be migrated at the same moment, and neither
-- CREATE ROLE nor GRANT waits for the other one to finish. Whoever loses the race tries again and finds
-- the work done.
DO $$
DECLARE
    wanted text;
    tries int;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'jobworker'] LOOP
        tries := 0;
        WHILE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) LOOP
            tries := tries + 1;
            BEGIN
                -- Row security binds neither the server's own key nor the worker, where this role may
                -- grant that; the policies `TO jobworker` and `TO service_role` serve where it may not.
                -- jobworker inherits nothing: it is a member of authenticated only to SET ROLE to it.
                EXECUTE format(
                    'CREATE ROLE %I NOLOGIN %s %s', wanted,
                    CASE WHEN wanted = 'jobworker' THEN 'NOINHERIT' ELSE 'INHERIT' END,
                    CASE WHEN wanted IN ('service_role', 'jobworker') AND tries % 2 = 1 THEN 'BYPASSRLS' ELSE '' END);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    IF tries >= 2 THEN
                        RAISE EXCEPTION 'the role % is missing and % may not create roles', wanted, current_user
                            USING HINT = format(
                                'As an administrator run: %s GRANT authenticated TO jobworker; Then migrate again.', (
                                SELECT string_agg(format('CREATE ROLE %I %s;', missing.name, missing.options), ' '
                                                  ORDER BY missing.name)
                                FROM (VALUES ('anon', 'NOLOGIN'), ('authenticated', 'NOLOGIN'),
                                             ('service_role', 'NOLOGIN BYPASSRLS'),
                                             ('jobworker', 'NOLOGIN NOINHERIT BYPASSRLS')) AS missing (name, options)
                                WHERE missing.name NOT IN (SELECT rolname FROM pg_catalog.pg_roles)));
                    END IF;
                WHEN duplicate_object OR unique_violation OR lock_not_available THEN
                    IF tries >= 20 THEN RAISE; END IF;
                    PERFORM pg_sleep(0.05 * random());
                WHEN internal_error THEN
                    -- "tuple concurrently updated"
                    IF tries >= 20 THEN RAISE; END IF;
                    PERFORM pg_sleep(0.05 * random());
            END;
        END LOOP;
    END LOOP;
END
$$;

DO $$
DECLARE
    membership record;
    tries int;
BEGIN
    FOR membership IN
        -- API requests use the worker's login and SET LOCAL ROLE authenticated.
        SELECT 'authenticated' AS granted, 'jobworker' AS member, true AS needed
        UNION ALL
        -- Who migrates can also try the worker out, and its updates count as the worker's.
        SELECT 'jobworker', current_user::text, false
        WHERE NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
    LOOP
        tries := 0;
        WHILE NOT pg_has_role(membership.member, membership.granted, 'MEMBER') LOOP
            tries := tries + 1;
            BEGIN
                EXECUTE format('GRANT %I TO %I', membership.granted, membership.member);
            EXCEPTION
                WHEN insufficient_privilege THEN
                    EXIT WHEN NOT membership.needed;
                    RAISE EXCEPTION '% may not make % a member of %', current_user, membership.member, membership.granted
                        USING HINT = format('As an administrator run: GRANT %I TO %I; then migrate again.',
                            membership.granted, membership.member);
                WHEN duplicate_object OR unique_violation OR lock_not_available OR internal_error THEN
                    IF tries >= 20 THEN RAISE; END IF;
                    PERFORM pg_sleep(0.05 * random());
            END;
        END LOOP;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS jobworker;
REVOKE ALL ON SCHEMA jobworker FROM PUBLIC;
GRANT USAGE ON SCHEMA jobworker TO anon, authenticated, service_role, jobworker;

DO $$
DECLARE
    reader text;
BEGIN
    FOREACH reader IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'jobworker'] LOOP
        IF NOT has_schema_privilege(reader, 'public', 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', reader);
        END IF;
    END LOOP;
    -- Some databases hand every new table of `public` to everybody by default privileges.
    IF to_regclass('public.jobworker_migrations') IS NOT NULL THEN
        REVOKE ALL ON public.jobworker_migrations FROM PUBLIC, anon, authenticated, service_role, jobworker;
        GRANT SELECT ON public.jobworker_migrations TO service_role, jobworker;
    END IF;
END
$$;

-- The application's policies that ours replace, so that nobody has to remember them.
CREATE TABLE jobworker.replaced_policies (
    table_name  text NOT NULL,
    policy_name text NOT NULL,
    definition  jsonb NOT NULL,
    replaced_at timestamptz NOT NULL DEFAULT now()
);
REVOKE ALL ON jobworker.replaced_policies FROM PUBLIC, anon, authenticated;
GRANT SELECT ON jobworker.replaced_policies TO service_role, jobworker;

-- Notes a table's policies and drops them. Policies are OR-ed: a single old `USING (true)` left behind
-- would open what ours close, whatever its name.
CREATE FUNCTION jobworker.replace_policies(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    old record;
BEGIN
    FOR old IN
        SELECT p.policyname, to_jsonb(p) AS definition
        FROM pg_catalog.pg_policies AS p
        JOIN pg_catalog.pg_class AS c ON c.relname = p.tablename AND c.relnamespace = p.schemaname::regnamespace
        WHERE c.oid = target
    LOOP
        INSERT INTO jobworker.replaced_policies (table_name, policy_name, definition)
        VALUES (target::text, old.policyname, old.definition);
        EXECUTE format('DROP POLICY %I ON %s', old.policyname, target);
    END LOOP;
END
$$;

-- Takes back what everybody holds on a table, columns included, and fails if somebody else's grant stays.
CREATE FUNCTION jobworker.revoke_all(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    left_over text;
BEGIN
    EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC, anon, authenticated, service_role, jobworker', target);
    SELECT string_agg(DISTINCT format('%s to %s by %s', acl.privilege_type,
                                      CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(acl.grantee)::text END,
                                      pg_get_userbyid(acl.grantor)), ', ')
    INTO left_over
    FROM (
        SELECT relacl AS list FROM pg_class WHERE oid = target
        UNION ALL
        SELECT attacl FROM pg_attribute WHERE attrelid = target AND NOT attisdropped
    ) AS lists
    CROSS JOIN LATERAL aclexplode(lists.list) AS acl
    WHERE acl.grantee IN (0, 'anon'::regrole, 'authenticated'::regrole);
    IF left_over IS NOT NULL THEN
        RAISE EXCEPTION 'grants on % can''t be taken back: %', target, left_over
            USING HINT = 'Let the roles named behind "by" revoke them, then migrate again.';
    END IF;
END
$$;

-- The columns of a table that hold a time without a zone.
CREATE FUNCTION jobworker.zoneless_columns(target regclass)
RETURNS TABLE (attnum smallint, attname name, atthasdef boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.attnum, a.attname, a.atthasdef FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = target AND a.attnum > 0 AND NOT a.attisdropped
      AND a.atttypid = 'timestamp without time zone'::regtype
    ORDER BY a.attnum
$$;

-- The views that read a zoneless column of a table, directly or through other views, deepest last.
CREATE FUNCTION jobworker.views_on_zoneless(target regclass) RETURNS TABLE (view regclass, depth int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE readers AS (
        SELECT r.ev_class AS view, 1 AS depth
        FROM pg_depend AS d
        JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        JOIN jobworker.zoneless_columns(target) AS a ON a.attnum = d.refobjsubid
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = target AND r.ev_class <> target
        UNION
        SELECT r.ev_class, readers.depth + 1
        FROM readers
        JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = readers.view
        JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        WHERE r.ev_class <> readers.view
    )
    SELECT readers.view::regclass, max(readers.depth) FROM readers GROUP BY readers.view
    ORDER BY 2, 1
$$;

-- What would stop the conversion of a table's times, in words. Ordinary views are recreated; policies of
-- the table itself are replaced; all else has to be moved away by somebody who knows what it is for.
CREATE FUNCTION jobworker.conversion_blockers(target regclass) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- Policies of other tables, triggers, functions, generated columns, publications with a row filter.
    SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_depend AS d
    JOIN jobworker.zoneless_columns(target) AS a ON a.attnum = d.refobjsubid
    LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
    LEFT JOIN pg_attrdef AS f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = target
      AND (d.classid IN ('pg_trigger'::regclass, 'pg_proc'::regclass, 'pg_publication_rel'::regclass)
           OR (p.oid IS NOT NULL AND p.polrelid <> target)
           OR (f.oid IS NOT NULL AND f.adnum <> d.refobjsubid))
    UNION
    -- Views of another kind, of another owner, or with something attached that a new view would lose.
    SELECT pg_describe_object('pg_class'::regclass, c.oid, 0)
    FROM jobworker.views_on_zoneless(target) AS v
    JOIN pg_class AS c ON c.oid = v.view
    WHERE c.relkind <> 'v'
       OR NOT pg_has_role(c.relowner, 'USAGE')
       -- It converts by itself: `created_at AT TIME ZONE 'UTC'` means the opposite once created_at has a zone.
       OR pg_get_viewdef(c.oid) ~* '(at time zone|timezone\()'
       OR EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid)
       OR EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
       OR EXISTS (SELECT FROM pg_attrdef AS f WHERE f.adrelid = c.oid)
       OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL)
       -- A policy or a function with a body that PostgreSQL tracks, or the view's row type in a table.
       OR EXISTS (SELECT FROM pg_depend AS d
                  WHERE ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
                         OR (d.refclassid = 'pg_type'::regclass AND d.refobjid = c.reltype))
                    AND d.deptype = 'n' AND d.classid <> 'pg_rewrite'::regclass)
$$;

-- Gives every zoneless time of a table its zone, UTC, in one ALTER TABLE. The session's TimeZone is UTC, so
-- PostgreSQL changes the catalogue only and doesn't rewrite the rows; indexes on such columns are built anew.
CREATE FUNCTION jobworker.convert_times(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
    changes text;
    defaults text;
    blockers text;
    saved record;
    part text;
    held jsonb := '[]';
BEGIN
    SELECT string_agg(format('ALTER COLUMN %I TYPE timestamptz', attname), ', '),
           -- An old default such as `now() AT TIME ZONE 'utc'` would be read in the session's zone.
           string_agg(format('ALTER COLUMN %I SET DEFAULT now()', attname), ', ') FILTER (WHERE atthasdef)
    INTO changes, defaults
    FROM jobworker.zoneless_columns(target);
    IF changes IS NULL THEN
        RETURN;
    END IF;

    SELECT string_agg(b, ', ') INTO blockers FROM jobworker.conversion_blockers(target) AS b;
    IF blockers IS NOT NULL THEN
        RAISE EXCEPTION 'the times of % can''t be given a zone because of: %', target, blockers
            USING HINT = 'Drop these objects, migrate, and create them again; AT TIME ZONE is not needed any more.';
    END IF;

    -- Remember each view whole, then drop from the outermost inwards.
    FOR saved IN
        SELECT v.view, v.depth, c.oid AS id, format('%I.%I', n.nspname, c.relname) AS name,
               pg_get_viewdef(c.oid) AS body, c.relacl IS NOT NULL AS has_acl, pg_get_userbyid(c.relowner) AS owner,
               c.reloptions, obj_description(c.oid, 'pg_class') AS remark
        FROM jobworker.views_on_zoneless(target) AS v
        JOIN pg_class AS c ON c.oid = v.view
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        ORDER BY v.depth DESC, v.view
    LOOP
        held := jsonb_build_array(jsonb_build_object(
            'name', saved.name,
            'create', format('CREATE VIEW %s%s AS %s', saved.name,
                             coalesce(' WITH (' || array_to_string(saved.reloptions, ', ') || ')', ''), saved.body),
            'owner', format('ALTER VIEW %s OWNER TO %I', saved.name, saved.owner),
            'columns', (SELECT jsonb_object_agg(a.attname, a.atttypid::regtype::text)
                        FROM pg_attribute AS a WHERE a.attrelid = saved.id AND a.attnum > 0),
            'after', (
                SELECT coalesce(jsonb_agg(line), '[]') FROM (
                    -- A new view may get grants from the default privileges: start from none.
                    SELECT format('REVOKE ALL ON %s FROM %s', saved.name,
                                  string_agg(CASE r.id WHEN 0 THEN 'PUBLIC'
                                             ELSE quote_ident(pg_get_userbyid(r.id)) END, ', '))
                    FROM (SELECT 0::oid AS id
                          UNION SELECT acl.grantee FROM pg_default_acl AS d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS acl
                          WHERE d.defaclobjtype = 'r') AS r
                    UNION ALL
                    SELECT format('GRANT %s ON %s TO %s%s', acl.privilege_type, saved.name,
                                  CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END,
                                  CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
                    FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS acl WHERE c.oid = saved.id
                    UNION ALL
                    SELECT format('COMMENT ON VIEW %s IS %L', saved.name, saved.remark) WHERE saved.remark IS NOT NULL
                    UNION ALL
                    SELECT format('COMMENT ON COLUMN %s.%I IS %L', saved.name, a.attname,
                                  col_description(saved.id, a.attnum))
                    FROM pg_attribute AS a
                    WHERE a.attrelid = saved.id AND a.attnum > 0 AND col_description(saved.id, a.attnum) IS NOT NULL
                ) AS lines (line)
            ))) || held;
        EXECUTE format('DROP VIEW %s', saved.name);
    END LOOP;

    EXECUTE format('ALTER TABLE %s %s', target, changes);
    IF defaults IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s %s', target, defaults);
    END IF;

    -- `held` begins with the innermost view.
    FOR saved IN
        SELECT h.value AS view FROM jsonb_array_elements(held) WITH ORDINALITY AS h (value, place) ORDER BY h.place
    LOOP
        EXECUTE saved.view ->> 'create';
        EXECUTE saved.view ->> 'owner';
        FOR part IN SELECT jsonb_array_elements_text(saved.view -> 'after') LOOP
            EXECUTE part;
        END LOOP;
        -- Nothing else may have changed its type.
        SELECT string_agg(a.attname, ', ') INTO blockers
        FROM pg_attribute AS a
        WHERE a.attrelid = (saved.view ->> 'name')::regclass AND a.attnum > 0
          AND a.atttypid::regtype::text <> saved.view -> 'columns' ->> a.attname
          AND NOT (saved.view -> 'columns' ->> a.attname = 'timestamp without time zone'
                   AND a.atttypid = 'timestamp with time zone'::regtype);
        IF blockers IS NOT NULL THEN
            RAISE EXCEPTION 'the times of % can''t be given a zone: these columns of view % would change their type: %',
                target, saved.view ->> 'name', blockers
                USING HINT = 'Drop the view, migrate, and create it again.';
        END IF;
    END LOOP;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA jobworker FROM PUBLIC;

-- Ask now what would stop a later file, for all tables at once.
DO $$
DECLARE
    blockers text;
BEGIN
    SELECT string_agg(DISTINCT b, ', ') INTO blockers
    FROM unnest(ARRAY['jobs', 'job_logs', 'workspace_settings', 'enrichment_cache', 'rate_limits', 'dead_letter_queue'])
         AS t (name)
    CROSS JOIN LATERAL jobworker.conversion_blockers(to_regclass('public.' || t.name)) AS b
    WHERE to_regclass('public.' || t.name) IS NOT NULL;
    IF blockers IS NOT NULL THEN
        RAISE EXCEPTION 'the times of the existing tables can''t be given a zone because of: %', blockers
            USING HINT = 'Drop these objects, migrate, and create them again; AT TIME ZONE is not needed any more.';
    END IF;
END
$$;
