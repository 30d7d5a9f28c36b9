-- 0004: workspace settings, the enrichment cache, limits and dead letters: made, or taken over.
-- Locks:   these four tables against everything, for a moment; enrichment_cache while an index is built.
--          workspace_settings is rewritten (one row per workspace).
-- Rollout: members can't read the stored API key any more: a client that selects `*` from
--          workspace_settings must name its columns. apollo_api_key_configured tells whether there is a key.
-- Growth:  workspace_settings, rate_limits: a few rows per workspace. enrichment_cache: a row per company or
--          person looked up; dead_letter_queue: a row per job set aside.

CREATE TABLE IF NOT EXISTS public.workspace_settings (
    id                       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id             uuid UNIQUE REFERENCES public.workspaces ON DELETE CASCADE,
    apollo_api_key_encrypted text,
    apollo_auto_enrich       boolean DEFAULT false,
    enrichment_credits_used  int DEFAULT 0,
    last_enrichment_at       timestamptz,
    created_at               timestamptz DEFAULT now(),
    updated_at               timestamptz DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.enrichment_cache (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id     uuid NOT NULL REFERENCES public.workspaces ON DELETE CASCADE,
    provider         varchar(50) NOT NULL DEFAULT 'apollo',
    lookup_type      varchar(50) NOT NULL,
    lookup_value     varchar(255) NOT NULL,
    enrichment_data  jsonb NOT NULL,
    data_version     int NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL DEFAULT now() + interval '30 days',
    last_accessed_at timestamptz,
    hit_count        int NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS public.rate_limits (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id    uuid REFERENCES public.workspaces ON DELETE CASCADE,
    key             varchar(255) NOT NULL UNIQUE,
    requests        int NOT NULL DEFAULT 0,
    window_start    timestamptz NOT NULL DEFAULT now(),
    window_duration interval NOT NULL DEFAULT interval '1 minute',
    max_requests    int NOT NULL DEFAULT 100,
    last_request_at timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS public.dead_letter_queue (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id     uuid REFERENCES public.workspaces ON DELETE CASCADE,
    job_id           uuid NOT NULL,
    job_type         varchar(100) NOT NULL,
    payload          jsonb NOT NULL DEFAULT '{}',
    error_message    text,
    stack_trace      text,
    attempts         int NOT NULL DEFAULT 0,
    status           varchar(20) NOT NULL DEFAULT 'pending'
                         CHECK (status IN ('pending', 'investigating', 'resolved', 'ignored')),
    resolved_by      uuid REFERENCES auth.users ON DELETE SET NULL,
    resolved_at      timestamptz,
    resolution_notes text,
    failed_at        timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now()
);

SELECT jobworker.replace_policies(t), jobworker.convert_times(t)
FROM unnest(ARRAY['public.workspace_settings', 'public.enrichment_cache', 'public.rate_limits',
                  'public.dead_letter_queue']::regclass[]) AS t;

-- Settings. Two rows of one workspace would make the stored key a matter of chance; a person has to choose.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = 'workspace_id'
        WHERE i.indrelid = 'public.workspace_settings'::regclass AND i.indisunique AND i.indisvalid
          AND i.indpred IS NULL AND i.indkey::text = a.attnum::text) THEN
        IF EXISTS (SELECT FROM public.workspace_settings WHERE workspace_id IS NOT NULL
                   GROUP BY workspace_id HAVING count(*) > 1) THEN
            RAISE EXCEPTION 'workspace_settings holds several rows for one workspace'
                USING HINT = 'Delete those not in use. To find them: '
                             'SELECT workspace_id FROM workspace_settings GROUP BY 1 HAVING count(*) > 1';
        END IF;
        ALTER TABLE public.workspace_settings ADD CONSTRAINT workspace_settings_workspace UNIQUE (workspace_id);
    END IF;
END
$$;

ALTER TABLE public.workspace_settings
    ADD COLUMN IF NOT EXISTS apollo_api_key_configured boolean
        GENERATED ALWAYS AS (apollo_api_key_encrypted IS NOT NULL AND apollo_api_key_encrypted <> '') STORED,
    -- The last four characters, for people to tell keys apart.
    ADD COLUMN IF NOT EXISTS apollo_api_key_hint text;

DO $$
BEGIN
    -- The application may have a trigger of its own for this.
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
                   WHERE t.tgrelid = 'public.workspace_settings'::regclass AND NOT t.tgisinternal
                     AND t.tgtype & 1 = 1 AND t.tgtype & 2 = 2 AND t.tgtype & 16 = 16     -- row, before, update
                     AND p.prosrc ILIKE '%updated_at%') THEN
        CREATE TRIGGER touch_updated_at BEFORE UPDATE ON public.workspace_settings
            FOR EACH ROW EXECUTE FUNCTION jobworker.touch_updated_at();
    END IF;
END
$$;

-- Cache. The old key left out the workspace, so one workspace's entry took the place of another's. Where it held,
-- the new one holds too.
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN
        SELECT i.indexrelid::regclass AS index, c.conname
        FROM pg_catalog.pg_index AS i
        LEFT JOIN pg_catalog.pg_constraint AS c ON c.conindid = i.indexrelid AND c.contype = 'u'
        WHERE i.indrelid = 'public.enrichment_cache'::regclass AND i.indisunique AND NOT i.indisprimary
          AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_catalog.pg_attribute AS a
               WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
              = ARRAY['lookup_type', 'lookup_value', 'provider']
    LOOP
        IF old.conname IS NOT NULL THEN
            EXECUTE format('ALTER TABLE public.enrichment_cache DROP CONSTRAINT %I', old.conname);
        ELSE
            EXECUTE format('DROP INDEX %s', old.index);
        END IF;
    END LOOP;

    -- Set on insert only, expires_at never moved again. Who writes an entry sets it.
    FOR old IN
        SELECT t.tgname FROM pg_catalog.pg_trigger AS t
        JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
        WHERE t.tgrelid = 'public.enrichment_cache'::regclass AND NOT t.tgisinternal
          AND t.tgtype & 2 = 2 AND t.tgtype & 4 = 4     -- before, insert
          AND p.prosrc ILIKE '%expires_at%'
    LOOP
        EXECUTE format('DROP TRIGGER %I ON public.enrichment_cache', old.tgname);
    END LOOP;

    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = 'public.enrichment_cache'::regclass AND i.indisunique AND i.indpred IS NULL
          AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_catalog.pg_attribute AS a
               WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
              = ARRAY['lookup_type', 'lookup_value', 'provider', 'workspace_id']) THEN
        ALTER TABLE public.enrichment_cache
            ADD CONSTRAINT enrichment_cache_lookup UNIQUE (workspace_id, provider, lookup_type, lookup_value);
    END IF;
END
$$;
-- A writer that doesn't know of expires_at gets the usual time.
ALTER TABLE public.enrichment_cache ALTER COLUMN expires_at SET DEFAULT now() + interval '30 days';
-- For retention; the application may have one.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = 'public.enrichment_cache'::regclass AND i.indpred IS NULL AND a.attname = 'expires_at') THEN
        CREATE INDEX enrichment_cache_expiry ON public.enrichment_cache (expires_at);
    END IF;
END
$$;

-- Limits. A fixed window lets twice the limit through at its edge; `recent` holds the times of the requests that
-- still count. A row may also say that nobody is to ask before a time, and why.
ALTER TABLE public.rate_limits
    ADD COLUMN IF NOT EXISTS blocked_until  timestamptz,
    ADD COLUMN IF NOT EXISTS blocked_reason text,
    ADD COLUMN IF NOT EXISTS recent         timestamptz[] NOT NULL DEFAULT '{}';
CREATE INDEX IF NOT EXISTS rate_limits_workspace ON public.rate_limits (workspace_id);

-- Dead letters. An operator who settles one has a name but no user id.
ALTER TABLE public.dead_letter_queue ADD COLUMN IF NOT EXISTS resolved_by_name text;
CREATE INDEX IF NOT EXISTS dead_letter_queue_job ON public.dead_letter_queue (job_id);
CREATE INDEX IF NOT EXISTS dead_letter_queue_workspace ON public.dead_letter_queue (workspace_id, failed_at DESC);

-- What people change here is audited; the worker keeps its own records.
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OF apollo_api_key_encrypted, apollo_auto_enrich
    ON public.workspace_settings
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER'))
    EXECUTE FUNCTION jobworker.audit_change('settings', 'workspace_id');
-- A retry of the job settles the dead letter too, and has its own audit row.
CREATE TRIGGER audit_change AFTER UPDATE ON public.dead_letter_queue
    FOR EACH ROW WHEN (NOT pg_has_role('jobworker', 'MEMBER') AND pg_trigger_depth() = 0)
    EXECUTE FUNCTION jobworker.audit_change('dead_letter', 'id');

-- Rights.
ALTER TABLE public.workspace_settings ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.enrichment_cache ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.rate_limits ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.dead_letter_queue ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

DO $$
DECLARE
    target regclass;
BEGIN
    FOREACH target IN ARRAY ARRAY['public.workspace_settings', 'public.enrichment_cache', 'public.rate_limits',
                                  'public.dead_letter_queue']::regclass[] LOOP
        PERFORM jobworker.revoke_all(target);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO service_role, jobworker', target);
        EXECUTE format('CREATE POLICY jobworker_worker ON %s TO jobworker USING (true) WITH CHECK (true)', target);
        EXECUTE format('CREATE POLICY jobworker_service ON %s TO service_role USING (true) WITH CHECK (true)', target);
    END LOOP;

    -- Every column but the key, the application's own later ones included.
    EXECUTE (
        SELECT format('GRANT SELECT (%s) ON public.workspace_settings TO authenticated',
                      string_agg(quote_ident(attname), ', ' ORDER BY attnum))
        FROM pg_catalog.pg_attribute
        WHERE attrelid = 'public.workspace_settings'::regclass AND attnum > 0 AND NOT attisdropped
          AND attname <> 'apollo_api_key_encrypted');
END
$$;

GRANT INSERT (workspace_id, apollo_api_key_encrypted, apollo_api_key_hint, apollo_auto_enrich, updated_at),
      UPDATE (apollo_api_key_encrypted, apollo_api_key_hint, apollo_auto_enrich, updated_at)
    ON public.workspace_settings TO authenticated;
CREATE POLICY jobworker_member_select ON public.workspace_settings FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
-- The first look at the settings makes the row, whoever looks.
CREATE POLICY jobworker_member_insert ON public.workspace_settings FOR INSERT TO authenticated
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces()))
                AND apollo_api_key_encrypted IS NULL AND apollo_api_key_hint IS NULL
                AND NOT coalesce(apollo_auto_enrich, false));
CREATE POLICY jobworker_admin_insert ON public.workspace_settings FOR INSERT TO authenticated
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
CREATE POLICY jobworker_admin_update ON public.workspace_settings FOR UPDATE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())))
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));

GRANT SELECT ON public.enrichment_cache, public.rate_limits TO authenticated;
CREATE POLICY jobworker_member_select ON public.enrichment_cache FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));
CREATE POLICY jobworker_member_select ON public.rate_limits FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_workspaces())));

GRANT SELECT, UPDATE (status, resolved_by, resolved_at, resolution_notes, resolved_by_name)
    ON public.dead_letter_queue TO authenticated;
CREATE POLICY jobworker_admin_select ON public.dead_letter_queue FOR SELECT TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
CREATE POLICY jobworker_admin_update ON public.dead_letter_queue FOR UPDATE TO authenticated
    USING (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())))
    WITH CHECK (workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces())));
