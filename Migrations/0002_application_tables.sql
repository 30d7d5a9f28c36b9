-- 0002: the tables of the application that jobs refer to, where they are missing.
-- Locks:   none on tables in use; existing tables get grants and one policy for the worker, for a moment.
-- Rollout: existing tables keep their columns, rows, policies and grants.
-- Growth:  the application's own.

-- Sign-in. Where Supabase or another server keeps users, its own objects are there already.
CREATE SCHEMA IF NOT EXISTS auth;

DO $$
BEGIN
    IF to_regclass('auth.users') IS NULL THEN
        CREATE TABLE auth.users (
            id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            email      text,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        REVOKE ALL ON auth.users FROM PUBLIC, anon, authenticated;
    END IF;

    IF to_regprocedure('auth.uid()') IS NULL THEN
        -- The user of this transaction, as whoever checked the token has noted it.
        CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $uid$
            SELECT coalesce(
                nullif(pg_catalog.current_setting('request.jwt.claim.sub', true), ''),
                nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
            )::uuid
        $uid$;
    END IF;
END
$$;

-- Users of the API, and the worker when it fires a trigger of the application's that asks for the user.
DO $$
DECLARE
    reader text;
BEGIN
    FOREACH reader IN ARRAY ARRAY['anon', 'authenticated', 'service_role', 'jobworker'] LOOP
        IF NOT has_schema_privilege(reader, 'auth', 'USAGE') THEN
            BEGIN
                EXECUTE format('GRANT USAGE ON SCHEMA auth TO %I', reader);
            EXCEPTION WHEN insufficient_privilege THEN
                NULL;
            END;
        END IF;
        IF NOT has_schema_privilege(reader, 'auth', 'USAGE') THEN
            RAISE WARNING 'role % can''t use schema auth; as its owner run: GRANT USAGE ON SCHEMA auth TO %', reader, reader;
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION jobworker.touch_updated_at() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION jobworker.touch_updated_at() FROM PUBLIC;

-- Which tables this file makes: only those get policies and grants for members.
SELECT set_config('jobworker.tables_made', coalesce(string_agg(name, ','), ''), true)
FROM unnest(ARRAY['workspaces', 'workspace_members', 'accounts', 'contacts']) AS t (name)
WHERE to_regclass('public.' || name) IS NULL;

CREATE TABLE IF NOT EXISTS public.workspaces (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        varchar(255) NOT NULL,
    slug        varchar(100) NOT NULL UNIQUE,
    owner_id    uuid REFERENCES auth.users ON DELETE SET NULL,
    settings    jsonb NOT NULL DEFAULT '{}',
    plan        varchar(20) NOT NULL DEFAULT 'free' CHECK (plan IN ('free', 'pro', 'enterprise')),
    seats_limit int NOT NULL DEFAULT 5,
    status      varchar(20) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleted')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.workspace_members (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES public.workspaces ON DELETE CASCADE,
    user_id      uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    role         varchar(20) NOT NULL CHECK (role IN ('admin', 'sales_manager', 'sdr', 'ae')),
    status       varchar(20) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'invited', 'suspended')),
    invited_by   uuid REFERENCES auth.users ON DELETE SET NULL,
    invited_at   timestamptz,
    joined_at    timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, user_id)
);

CREATE TABLE IF NOT EXISTS public.accounts (
    id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id            uuid NOT NULL REFERENCES public.workspaces ON DELETE CASCADE,
    name                    varchar(255) NOT NULL,
    domain                  varchar(255),
    website                 text,
    description             text,
    logo_url                text,
    industry                varchar(100),
    sub_industry            varchar(100),
    employee_count          int CHECK (employee_count >= 0),
    employee_range          varchar(50) CHECK (employee_range IN
                                ('1-10', '11-50', '51-200', '201-500', '501-1000', '1001-5000', '5000+')),
    annual_revenue          bigint CHECK (annual_revenue >= 0),      -- cents
    revenue_range           varchar(50),
    headquarters_address     text,
    headquarters_city        varchar(100),
    headquarters_state       varchar(100),
    headquarters_country     varchar(2),                             -- ISO 3166-1 alpha-2
    headquarters_postal_code varchar(20),
    founded_year            int CHECK (founded_year BETWEEN 1800 AND extract(year FROM CURRENT_DATE)),
    stock_ticker            varchar(10),
    funding_stage           varchar(50),
    funding_total           bigint,                                  -- cents
    last_funding_date       date,
    last_funding_amount     bigint,                                  -- cents
    technologies            jsonb DEFAULT '{}',                      -- category → names
    tech_stack_last_updated timestamptz,
    linkedin_url            text,
    linkedin_id             varchar(50),
    twitter_url             text,
    twitter_handle          varchar(50),
    facebook_url            text,
    crunchbase_url          text,
    status                  varchar(20) NOT NULL DEFAULT 'active'
                                CHECK (status IN ('active', 'archived', 'merged', 'duplicate')),
    source                  varchar(50),
    created_by              uuid REFERENCES auth.users ON DELETE SET NULL,
    created_at              timestamptz NOT NULL DEFAULT now(),
    updated_at              timestamptz NOT NULL DEFAULT now(),
    last_enriched_at        timestamptz
);

CREATE TABLE IF NOT EXISTS public.contacts (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id     uuid NOT NULL REFERENCES public.workspaces ON DELETE CASCADE,
    account_id       uuid REFERENCES public.accounts ON DELETE SET NULL,
    first_name       varchar(100),
    last_name        varchar(100),
    full_name        varchar(255) NOT NULL,
    email            varchar(255) CHECK (email ~* '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$'),
    email_status     varchar(20) DEFAULT 'unverified'
                         CHECK (email_status IN ('unverified', 'verified', 'bounced', 'invalid', 'catch_all')),
    phone            varchar(50),
    mobile_phone     varchar(50),
    direct_dial      varchar(50),
    phone_status     varchar(20),
    job_title        varchar(255),
    normalized_title varchar(100),
    department       varchar(100),
    seniority_level  varchar(50),
    city             varchar(100),
    state            varchar(100),
    country          varchar(2),                                     -- ISO 3166-1 alpha-2
    linkedin_url     text,
    linkedin_id      varchar(50),
    twitter_url      text,
    github_username  varchar(100),
    do_not_contact   boolean NOT NULL DEFAULT false,
    status           varchar(20) NOT NULL DEFAULT 'active',
    created_by       uuid REFERENCES auth.users ON DELETE SET NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    last_enriched_at timestamptz,
    last_verified_at timestamptz
);

-- Who may what. The helpers run as the owner of the tables, so a policy that calls them can't recurse
-- into the policies of workspace_members, and no grant on that table is needed.

-- The user of this transaction; null when nobody is signed in.
CREATE FUNCTION jobworker.user_id() RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT auth.uid()
$$;

-- The active workspaces in which the user is an active member, or which the user owns. Policies compare with
-- ARRAY(SELECT …): then it runs once for a statement, not once for a row, and an index serves.
CREATE FUNCTION jobworker.my_workspaces() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.id FROM public.workspaces AS w
    WHERE w.owner_id = auth.uid() AND coalesce(w.status, 'active') = 'active'
    UNION
    SELECT w.id FROM public.workspace_members AS m JOIN public.workspaces AS w ON w.id = m.workspace_id
    WHERE m.user_id = auth.uid() AND m.status = 'active' AND coalesce(w.status, 'active') = 'active'
$$;

-- Those of them in which the user is an admin; an owner is one, with or without a membership.
CREATE FUNCTION jobworker.my_admin_workspaces() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.id FROM public.workspaces AS w
    WHERE w.owner_id = auth.uid() AND coalesce(w.status, 'active') = 'active'
    UNION
    SELECT w.id FROM public.workspace_members AS m JOIN public.workspaces AS w ON w.id = m.workspace_id
    WHERE m.user_id = auth.uid() AND m.status = 'active' AND m.role = 'admin' AND coalesce(w.status, 'active') = 'active'
$$;

CREATE FUNCTION jobworker.is_member(workspace uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM jobworker.my_workspaces() AS mine (id) WHERE mine.id = workspace)
$$;

CREATE FUNCTION jobworker.is_admin(workspace uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM jobworker.my_admin_workspaces() AS mine (id) WHERE mine.id = workspace)
$$;

REVOKE ALL ON FUNCTION jobworker.user_id(), jobworker.my_workspaces(), jobworker.my_admin_workspaces(),
    jobworker.is_member(uuid), jobworker.is_admin(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.user_id(), jobworker.my_workspaces(), jobworker.my_admin_workspaces(),
    jobworker.is_member(uuid), jobworker.is_admin(uuid) TO anon, authenticated, service_role, jobworker;

-- The application's way to ask for memberships.
DO $$
BEGIN
    IF to_regprocedure('public.get_user_workspace_memberships(uuid)') IS NULL THEN
        CREATE FUNCTION public.get_user_workspace_memberships(user_uuid uuid)
        RETURNS TABLE (workspace_id uuid, role varchar)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
            SELECT m.workspace_id, m.role FROM public.workspace_members AS m
            WHERE m.user_id = user_uuid AND m.status = 'active'
              AND user_uuid = coalesce(auth.uid(), user_uuid)
            UNION
            SELECT w.id, 'admin' FROM public.workspaces AS w
            WHERE w.owner_id = user_uuid
              AND user_uuid = coalesce(auth.uid(), user_uuid)
        $body$;
        REVOKE ALL ON FUNCTION public.get_user_workspace_memberships(uuid) FROM PUBLIC, anon;
        GRANT EXECUTE ON FUNCTION public.get_user_workspace_memberships(uuid) TO authenticated, service_role;
    END IF;
END
$$;

DO $$
DECLARE
    made text;
BEGIN
    FOREACH made IN ARRAY string_to_array(current_setting('jobworker.tables_made'), ',') LOOP
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', made);
        EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, anon, authenticated, service_role', made);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON public.%I TO authenticated, service_role', made);
        EXECUTE format('CREATE POLICY jobworker_service ON public.%I TO service_role USING (true) WITH CHECK (true)', made);
        EXECUTE format(
            'CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.%I '
            'FOR EACH ROW EXECUTE FUNCTION jobworker.touch_updated_at()', made);

        IF made = 'workspaces' THEN
            CREATE POLICY jobworker_member_select ON public.workspaces FOR SELECT TO authenticated
                USING (id = ANY (ARRAY(SELECT jobworker.my_workspaces())) OR owner_id = (SELECT jobworker.user_id()));
            CREATE POLICY jobworker_owner_insert ON public.workspaces FOR INSERT TO authenticated
                WITH CHECK (owner_id = (SELECT jobworker.user_id()) AND status = 'active');
            CREATE POLICY jobworker_admin_update ON public.workspaces FOR UPDATE TO authenticated
                USING (id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())))
                WITH CHECK (id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
            -- A plan, a suspension or another owner is not a member's to choose.
            REVOKE INSERT, UPDATE, DELETE ON public.workspaces FROM authenticated;
            GRANT INSERT (id, name, slug, owner_id, settings), UPDATE (name, slug, settings)
                ON public.workspaces TO authenticated;
        ELSIF made = 'workspace_members' THEN
            CREATE INDEX workspace_members_user ON public.workspace_members (user_id);
            CREATE POLICY jobworker_member_select ON public.workspace_members FOR SELECT TO authenticated
                USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces()))
                       OR user_id = (SELECT jobworker.user_id()));
            CREATE POLICY jobworker_admin_insert ON public.workspace_members FOR INSERT TO authenticated
                WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
            CREATE POLICY jobworker_admin_update ON public.workspace_members FOR UPDATE TO authenticated
                USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())))
                WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
            CREATE POLICY jobworker_admin_delete ON public.workspace_members FOR DELETE TO authenticated
                USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
        ELSE
            EXECUTE format($policies$
                CREATE POLICY jobworker_member_select ON public.%1$I FOR SELECT TO authenticated
                    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
                CREATE POLICY jobworker_member_insert ON public.%1$I FOR INSERT TO authenticated
                    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
                CREATE POLICY jobworker_member_update ON public.%1$I FOR UPDATE TO authenticated
                    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())))
                    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
                CREATE POLICY jobworker_manager_delete ON public.%1$I FOR DELETE TO authenticated
                    USING (workspace_id = ANY (ARRAY(
                        SELECT jobworker.my_admin_workspaces()
                        UNION
                        SELECT m.workspace_id FROM public.workspace_members AS m
                        WHERE m.user_id = (SELECT jobworker.user_id()) AND m.role = 'sales_manager'
                          AND m.workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())) AND m.status = 'active')))
                $policies$, made);
            IF made = 'accounts' THEN
                CREATE UNIQUE INDEX accounts_domain ON public.accounts (workspace_id, domain) WHERE domain IS NOT NULL;
            ELSE
                CREATE UNIQUE INDEX contacts_email ON public.contacts (workspace_id, email)
                    WHERE email IS NOT NULL AND status <> 'archived';
                CREATE INDEX contacts_account ON public.contacts (account_id);
            END IF;
        END IF;
    END LOOP;
END
$$;

-- What the worker needs of these tables, old or new. A login that is a member of jobworker doesn't inherit
-- BYPASSRLS, so a policy has to let it through wherever row security is on.
GRANT SELECT ON public.workspaces, public.workspace_members TO jobworker;
GRANT SELECT, UPDATE ON public.accounts, public.contacts TO jobworker;

DO $$
DECLARE
    target regclass;
BEGIN
    FOR target IN
        SELECT c.oid FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relrowsecurity AND c.relkind IN ('r', 'p')
          AND c.relname IN ('workspaces', 'workspace_members', 'accounts', 'contacts',
                            'account_versions', 'contact_versions')
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = 'jobworker_worker')
    LOOP
        EXECUTE format('CREATE POLICY jobworker_worker ON %s TO jobworker USING (true) WITH CHECK (true)', target);
    END LOOP;
    -- Triggers of the application copy changed rows there, with the rights of whoever changes them.
    FOR target IN
        SELECT c.oid FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname IN ('account_versions', 'contact_versions')
    LOOP
        EXECUTE format('GRANT SELECT, INSERT ON %s TO jobworker', target);
    END LOOP;
END
$$;
