-- The existing application's schema, as its own migrations leave it, faults included: this is what
-- `jobworker migrate` finds in a database it takes over. Run by the owner of an empty database, a superuser.

-- Roles and sign-in, as Supabase sets them up.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        -- Other databases of the cluster may be set up at the same moment.
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN %s', wanted,
                               CASE wanted WHEN 'service_role' THEN 'BYPASSRLS' ELSE '' END);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;

CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;

CREATE TABLE auth.users (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email      varchar(255),
    created_at timestamptz DEFAULT now()
);

CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
    )::uuid
$$;

CREATE FUNCTION public.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = NOW();
    RETURN NEW;
END
$$;

-- Tenants.
CREATE TABLE public.workspaces (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name        varchar(255) NOT NULL,
    slug        varchar(100) UNIQUE NOT NULL,
    owner_id    uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    settings    jsonb DEFAULT '{}',
    plan        varchar(50) DEFAULT 'free' CHECK (plan IN ('free', 'pro', 'enterprise')),
    seats_limit int DEFAULT 5,
    status      varchar(20) DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleted')),
    created_at  timestamptz DEFAULT now(),
    updated_at  timestamptz DEFAULT now()
);

CREATE TABLE public.workspace_members (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    user_id      uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
    role         varchar(50) NOT NULL CHECK (role IN ('admin', 'sales_manager', 'sdr', 'ae')),
    status       varchar(20) DEFAULT 'active' CHECK (status IN ('active', 'invited', 'suspended')),
    invited_by   uuid REFERENCES auth.users (id),
    invited_at   timestamptz DEFAULT now(),
    joined_at    timestamptz,
    created_at   timestamptz DEFAULT now(),
    updated_at   timestamptz DEFAULT now(),
    UNIQUE (workspace_id, user_id)
);
CREATE INDEX idx_workspace_members_user ON public.workspace_members (user_id);

CREATE FUNCTION public.get_user_workspace_memberships(user_uuid uuid)
RETURNS TABLE (workspace_id uuid, role varchar)
LANGUAGE sql SECURITY DEFINER STABLE SET search_path = public AS $$
    SELECT wm.workspace_id, wm.role FROM workspace_members wm
    WHERE wm.user_id = user_uuid AND wm.status = 'active'
    UNION
    SELECT w.id, 'admin'::varchar FROM workspaces w WHERE w.owner_id = user_uuid
$$;

-- Companies and people. The columns that enrichment concerns, and a few of the others.
CREATE TABLE public.accounts (
    id                       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id             uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    name                     varchar(255) NOT NULL,
    domain                   varchar(255),
    website                  text,
    description              text,
    logo_url                 text,
    industry                 varchar(100),
    sub_industry             varchar(100),
    employee_count           integer CHECK (employee_count >= 0),
    employee_range           varchar(50) CHECK (employee_range IN
                                 ('1-10', '11-50', '51-200', '201-500', '501-1000', '1001-5000', '5000+')),
    annual_revenue           bigint CHECK (annual_revenue >= 0),
    revenue_range            varchar(50),
    headquarters_address     text,
    headquarters_city        varchar(100),
    headquarters_state       varchar(100),
    headquarters_country     varchar(2),
    headquarters_postal_code varchar(20),
    founded_year             integer CHECK (founded_year >= 1800 AND founded_year <= EXTRACT(YEAR FROM CURRENT_DATE)),
    stock_ticker             varchar(10),
    funding_stage            varchar(50),
    funding_total            bigint,
    last_funding_date        date,
    last_funding_amount      bigint,
    technologies             jsonb DEFAULT '{}',
    tech_stack_last_updated  timestamptz,
    linkedin_url             text,
    linkedin_id              varchar(50),
    twitter_url              text,
    twitter_handle           varchar(50),
    facebook_url             text,
    crunchbase_url           text,
    account_tier             varchar(20),
    fit_score                numeric(5, 2),
    owner_id                 uuid REFERENCES auth.users (id) ON DELETE SET NULL,
    custom_fields            jsonb DEFAULT '{}',
    tags                     text[] DEFAULT '{}',
    status                   varchar(20) DEFAULT 'active' CHECK (status IN ('active', 'archived', 'merged', 'duplicate')),
    source                   varchar(50),
    created_by               uuid REFERENCES auth.users (id),
    created_at               timestamptz DEFAULT now(),
    updated_at               timestamptz DEFAULT now(),
    last_enriched_at         timestamptz
);
CREATE UNIQUE INDEX idx_accounts_workspace_domain ON public.accounts (workspace_id, domain) WHERE domain IS NOT NULL;
CREATE INDEX idx_accounts_workspace ON public.accounts (workspace_id);

CREATE TABLE public.contacts (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id     uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    account_id       uuid REFERENCES public.accounts (id) ON DELETE SET NULL,
    first_name       varchar(100),
    last_name        varchar(100),
    full_name        varchar(255) NOT NULL,
    email            varchar(255) CHECK (email IS NULL OR email ~* '^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$'),
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
    country          varchar(2),
    linkedin_url     text,
    linkedin_id      varchar(50),
    twitter_url      text,
    github_username  varchar(100),
    do_not_contact   boolean DEFAULT false,
    custom_fields    jsonb DEFAULT '{}',
    status           varchar(20) DEFAULT 'active',
    created_by       uuid REFERENCES auth.users (id),
    created_at       timestamptz DEFAULT now(),
    updated_at       timestamptz DEFAULT now(),
    last_enriched_at timestamptz,
    last_verified_at timestamptz
);
CREATE UNIQUE INDEX idx_contacts_workspace_email ON public.contacts (workspace_id, email)
    WHERE email IS NOT NULL AND status <> 'archived';

CREATE TABLE public.account_versions (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id     uuid NOT NULL REFERENCES public.accounts (id) ON DELETE CASCADE,
    workspace_id   uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    version_number integer NOT NULL,
    data           jsonb NOT NULL,
    changed_by     uuid,
    change_source  varchar(50),
    created_at     timestamptz DEFAULT now()
);

CREATE TABLE public.contact_versions (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    contact_id     uuid NOT NULL REFERENCES public.contacts (id) ON DELETE CASCADE,
    workspace_id   uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    version_number integer NOT NULL,
    data           jsonb NOT NULL,
    changed_by     uuid,
    change_source  varchar(50),
    created_at     timestamptz DEFAULT now()
);

CREATE FUNCTION public.create_account_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.name IS DISTINCT FROM NEW.name OR OLD.domain IS DISTINCT FROM NEW.domain
       OR OLD.industry IS DISTINCT FROM NEW.industry OR OLD.employee_count IS DISTINCT FROM NEW.employee_count
       OR OLD.status IS DISTINCT FROM NEW.status THEN
        INSERT INTO public.account_versions (account_id, workspace_id, version_number, data, changed_by, change_source)
        VALUES (NEW.id, NEW.workspace_id,
                (SELECT COALESCE(MAX(version_number), 0) + 1 FROM public.account_versions WHERE account_id = NEW.id),
                to_jsonb(NEW), auth.uid(), 'user_edit');
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION public.create_contact_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.full_name IS DISTINCT FROM NEW.full_name OR OLD.email IS DISTINCT FROM NEW.email
       OR OLD.job_title IS DISTINCT FROM NEW.job_title OR OLD.status IS DISTINCT FROM NEW.status THEN
        INSERT INTO public.contact_versions (contact_id, workspace_id, version_number, data, changed_by, change_source)
        VALUES (NEW.id, NEW.workspace_id,
                (SELECT COALESCE(MAX(version_number), 0) + 1 FROM public.contact_versions WHERE contact_id = NEW.id),
                to_jsonb(NEW), auth.uid(), 'user_edit');
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER update_workspaces_updated_at BEFORE UPDATE ON public.workspaces
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER update_accounts_updated_at BEFORE UPDATE ON public.accounts
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER update_contacts_updated_at BEFORE UPDATE ON public.contacts
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER account_version_trigger AFTER UPDATE ON public.accounts
    FOR EACH ROW EXECUTE FUNCTION public.create_account_version();
CREATE TRIGGER contact_version_trigger AFTER UPDATE ON public.contacts
    FOR EACH ROW EXECUTE FUNCTION public.create_contact_version();

-- Jobs.
CREATE TABLE public.jobs (
    id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id        uuid REFERENCES public.workspaces (id) ON DELETE CASCADE,
    job_type            varchar(100) NOT NULL,
    job_queue           varchar(50) DEFAULT 'default',
    payload             jsonb NOT NULL,
    status              varchar(20) DEFAULT 'pending',
    priority            integer DEFAULT 0,
    attempts            integer DEFAULT 0,
    max_attempts        integer DEFAULT 5,
    progress            jsonb DEFAULT '{}',
    result              jsonb,
    error_message       text,
    error_stack         text,
    created_at          timestamp DEFAULT now(),
    scheduled_for       timestamp,
    started_at          timestamp,
    completed_at        timestamp,
    failed_at           timestamp,
    next_retry_at       timestamp,
    retry_delay_seconds integer DEFAULT 60,
    worker_id           varchar(100),
    worker_heartbeat_at timestamp,
    created_by          uuid REFERENCES auth.users (id),
    CONSTRAINT valid_priority CHECK (priority >= 0 AND priority <= 10),
    CONSTRAINT valid_attempts CHECK (attempts <= max_attempts)
);
CREATE INDEX idx_jobs_workspace ON public.jobs (workspace_id);
CREATE INDEX idx_jobs_status ON public.jobs (status) WHERE status IN ('pending', 'processing');
CREATE INDEX idx_jobs_queue ON public.jobs (job_queue, priority DESC, created_at) WHERE status = 'pending';
CREATE INDEX idx_jobs_type ON public.jobs (job_type);

CREATE TABLE public.job_logs (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id     uuid REFERENCES public.jobs (id) ON DELETE CASCADE,
    log_level  varchar(20) NOT NULL,
    message    text NOT NULL,
    metadata   jsonb,
    created_at timestamp DEFAULT now()
);
CREATE INDEX idx_job_logs_job ON public.job_logs (job_id, created_at DESC);

CREATE TABLE public.workspace_settings (
    id                       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id             uuid UNIQUE REFERENCES public.workspaces (id) ON DELETE CASCADE,
    apollo_api_key_encrypted text,
    apollo_auto_enrich       boolean DEFAULT false,
    enrichment_credits_used  integer DEFAULT 0,
    last_enrichment_at       timestamp,
    created_at               timestamp DEFAULT now(),
    updated_at               timestamp DEFAULT now()
);
CREATE TRIGGER update_workspace_settings_updated_at BEFORE UPDATE ON public.workspace_settings
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE TABLE public.enrichment_cache (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id     uuid NOT NULL REFERENCES public.workspaces (id) ON DELETE CASCADE,
    provider         varchar(50) NOT NULL,
    lookup_type      varchar(50) NOT NULL,
    lookup_value     varchar(255) NOT NULL,
    enrichment_data  jsonb NOT NULL,
    data_version     integer DEFAULT 1,
    created_at       timestamptz DEFAULT now(),
    expires_at       timestamptz,
    last_accessed_at timestamptz DEFAULT now(),
    hit_count        integer DEFAULT 0,
    UNIQUE (provider, lookup_type, lookup_value)
);
CREATE INDEX idx_enrichment_cache_workspace ON public.enrichment_cache (workspace_id);
CREATE INDEX idx_enrichment_cache_expires ON public.enrichment_cache (expires_at);

CREATE FUNCTION public.set_enrichment_cache_expiry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.expires_at IS NULL THEN
        NEW.expires_at := NEW.created_at + INTERVAL '30 days';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER set_enrichment_cache_expiry_trigger BEFORE INSERT ON public.enrichment_cache
    FOR EACH ROW EXECUTE FUNCTION public.set_enrichment_cache_expiry();

CREATE TABLE public.dead_letter_queue (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id     uuid REFERENCES public.workspaces (id) ON DELETE CASCADE,
    job_id           uuid,
    job_type         varchar(100) NOT NULL,
    payload          jsonb NOT NULL,
    error_message    text,
    stack_trace      text,
    attempts         integer DEFAULT 0,
    status           varchar(20) DEFAULT 'pending' CHECK (status IN ('pending', 'investigating', 'resolved', 'ignored')),
    resolved_by      uuid REFERENCES auth.users (id),
    resolved_at      timestamptz,
    resolution_notes text,
    failed_at        timestamptz DEFAULT now()
);

-- A view of the application's own, over the times that get a zone.
CREATE VIEW public.job_durations WITH (security_invoker = true) AS
    SELECT id, workspace_id, job_type, status, created_at, started_at, completed_at,
           completed_at - started_at AS duration
    FROM public.jobs
    WHERE completed_at IS NOT NULL;
COMMENT ON VIEW public.job_durations IS 'How long finished jobs took';
COMMENT ON COLUMN public.job_durations.duration IS 'From start to end of the last attempt';
REVOKE ALL ON public.job_durations FROM anon;

CREATE VIEW public.slow_jobs AS
    SELECT id, job_type, duration FROM public.job_durations WHERE duration > interval '5 minutes';

-- Row security, as it was written.
ALTER TABLE public.workspaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.workspace_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.account_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.contact_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.job_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.workspace_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.enrichment_cache ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.dead_letter_queue ENABLE ROW LEVEL SECURITY;

CREATE POLICY "Users can view their workspaces" ON public.workspaces FOR SELECT
    USING (id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Owners can update their workspaces" ON public.workspaces FOR UPDATE
    USING (owner_id = auth.uid());
CREATE POLICY "Members can view their colleagues" ON public.workspace_members FOR SELECT
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));

CREATE POLICY "Members can view accounts" ON public.accounts FOR SELECT
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Members can add accounts" ON public.accounts FOR INSERT
    WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Members can update accounts" ON public.accounts FOR UPDATE
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Managers can delete accounts" ON public.accounts FOR DELETE
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m
                            WHERE m.role IN ('admin', 'sales_manager')));
CREATE POLICY "Members can view contacts" ON public.contacts FOR SELECT
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Members can add contacts" ON public.contacts FOR INSERT
    WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Members can update contacts" ON public.contacts FOR UPDATE
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Managers can delete contacts" ON public.contacts FOR DELETE
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m
                            WHERE m.role IN ('admin', 'sales_manager')));
CREATE POLICY "Members can view account versions" ON public.account_versions FOR SELECT
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "System can add account versions" ON public.account_versions FOR INSERT
    WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Members can view contact versions" ON public.contact_versions FOR SELECT
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "System can add contact versions" ON public.contact_versions FOR INSERT
    WITH CHECK (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));

CREATE POLICY "Users can view jobs in their workspace" ON public.jobs FOR SELECT
    USING (workspace_id IN (SELECT workspace_id FROM public.workspace_members WHERE user_id = auth.uid()));
CREATE POLICY "Users can create jobs in their workspace" ON public.jobs FOR INSERT
    WITH CHECK (workspace_id IN (SELECT workspace_id FROM public.workspace_members WHERE user_id = auth.uid()));
CREATE POLICY "System can update jobs" ON public.jobs FOR UPDATE
    USING (true);
-- One that reads a time, so that its type can't change while the policy stands.
CREATE POLICY "Recent jobs are public" ON public.jobs FOR SELECT TO anon
    USING (created_at > now() - interval '1 minute');
CREATE POLICY "Users can view job logs" ON public.job_logs FOR SELECT
    USING (job_id IN (SELECT id FROM public.jobs WHERE workspace_id IN
                      (SELECT workspace_id FROM public.workspace_members WHERE user_id = auth.uid())));
CREATE POLICY "System can insert job logs" ON public.job_logs FOR INSERT
    WITH CHECK (true);
CREATE POLICY "Members can view workspace settings" ON public.workspace_settings FOR SELECT
    USING (workspace_id IN (SELECT workspace_id FROM public.workspace_members WHERE user_id = auth.uid()));
CREATE POLICY "Admins can manage workspace settings" ON public.workspace_settings FOR ALL
    USING (workspace_id IN (SELECT workspace_id FROM public.workspace_members
                            WHERE user_id = auth.uid() AND role IN ('owner', 'admin')));
CREATE POLICY "Members can use the cache" ON public.enrichment_cache FOR ALL
    USING (workspace_id IN (SELECT m.workspace_id FROM public.get_user_workspace_memberships(auth.uid()) m));
CREATE POLICY "Members can view dead letters" ON public.dead_letter_queue FOR SELECT
    USING (workspace_id IN (SELECT workspace_id FROM public.workspace_members WHERE user_id = auth.uid()));
CREATE POLICY "System can insert dead letters" ON public.dead_letter_queue FOR INSERT
    WITH CHECK (true);

-- Realtime. The application never added jobs to it.
CREATE PUBLICATION supabase_realtime FOR TABLE public.accounts;
