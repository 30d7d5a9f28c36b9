-- Rows in the existing application's schema, before it is taken over. Times without a zone are UTC; those of jobs
-- lie on 2026-03-01, so that a test can name the instants it expects whatever its session's time zone.
SET TimeZone = 'UTC';

INSERT INTO auth.users (id, email) VALUES
    ('a0000000-0000-4000-8000-000000000001', 'owner.north@example.com'),
    ('a0000000-0000-4000-8000-000000000002', 'admin.north@example.com'),
    ('a0000000-0000-4000-8000-000000000003', 'sdr.north@example.com'),
    ('a0000000-0000-4000-8000-000000000004', 'suspended.north@example.com'),
    ('a0000000-0000-4000-8000-000000000005', 'invited.north@example.com'),
    ('b0000000-0000-4000-8000-000000000001', 'owner.south@example.com'),
    ('b0000000-0000-4000-8000-000000000002', 'ae.south@example.com'),
    ('c0000000-0000-4000-8000-000000000001', 'admin.closed@example.com');

-- The owner of North has no membership row; the third workspace is suspended.
INSERT INTO public.workspaces (id, name, slug, owner_id, plan, status) VALUES
    ('10000000-0000-4000-8000-000000000001', 'North', 'north', 'a0000000-0000-4000-8000-000000000001', 'pro', 'active'),
    ('20000000-0000-4000-8000-000000000002', 'South', 'south', 'b0000000-0000-4000-8000-000000000001', 'free', 'active'),
    ('30000000-0000-4000-8000-000000000003', 'Closed', 'closed', 'c0000000-0000-4000-8000-000000000001', 'free', 'suspended');

INSERT INTO public.workspace_members (workspace_id, user_id, role, status) VALUES
    ('10000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000002', 'admin', 'active'),
    ('10000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000003', 'sdr', 'active'),
    ('10000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000004', 'admin', 'suspended'),
    ('10000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000005', 'sdr', 'invited'),
    ('20000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000001', 'admin', 'active'),
    ('20000000-0000-4000-8000-000000000002', 'b0000000-0000-4000-8000-000000000002', 'ae', 'active'),
    ('30000000-0000-4000-8000-000000000003', 'c0000000-0000-4000-8000-000000000001', 'admin', 'active');

INSERT INTO public.accounts (id, workspace_id, name, domain, industry, employee_count, technologies) VALUES
    ('5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10', '10000000-0000-4000-8000-000000000001', 'Nordlicht Freight',
     'nordlicht.example.com', NULL, NULL, '{}'),
    ('5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a11', '10000000-0000-4000-8000-000000000001', 'Harbour Tools', NULL, 'retail', 12,
     '{"CRM": ["Example CRM"]}'),
    ('5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a20', '20000000-0000-4000-8000-000000000002', 'Sunny Fields',
     'sunnyfields.example.org', NULL, 40, '{}');

INSERT INTO public.contacts (id, workspace_id, account_id, first_name, last_name, full_name, email, linkedin_url,
                             do_not_contact) VALUES
    ('9b1d7c52-3f0e-4a58-8e57-6c1d40b8e2aa', '10000000-0000-4000-8000-000000000001',
     '5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10', 'Marit', 'Oehlen', 'Marit Oehlen', 'marit.oehlen@nordlicht.example.com', NULL, false),
    ('9b1d7c52-3f0e-4a58-8e57-6c1d40b8e2ab', '10000000-0000-4000-8000-000000000001', NULL, NULL, NULL, 'Jo Without Mail',
     NULL, 'https://www.linkedin.com/in/jo-without-mail', true),
    ('9b1d7c52-3f0e-4a58-8e57-6c1d40b8e2ba', '20000000-0000-4000-8000-000000000002',
     '5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a20', 'Ana', 'Sol', 'Ana Sol', 'ana.sol@sunnyfields.example.org', NULL, false);

-- One job in each state, then the odd ones.
INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, status, priority, attempts, max_attempts, progress,
                         result, error_message, error_stack, created_at, scheduled_for, started_at, completed_at, failed_at,
                         next_retry_at, retry_delay_seconds, worker_id, worker_heartbeat_at, created_by) VALUES
    -- due at once
    ('70000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001', 'enrich_account', 'default',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10", "domain": null}', 'pending', 5, 0, 5, '{}',
     NULL, NULL, NULL, '2026-03-01 08:00:00', NULL, NULL, NULL, NULL, NULL, 60, NULL, NULL,
     'a0000000-0000-4000-8000-000000000003'),
    -- scheduled
    ('70000000-0000-4000-8000-000000000002', '10000000-0000-4000-8000-000000000001', 'enrich_contact', 'default',
     '{"contact_id": "9b1d7c52-3f0e-4a58-8e57-6c1d40b8e2aa"}', 'pending', 0, 0, 5, '{}',
     NULL, NULL, NULL, '2026-03-01 08:00:01', '2099-01-01 00:30:00', NULL, NULL, NULL, NULL, 60, NULL, NULL, NULL),
    -- waiting for its second attempt
    ('70000000-0000-4000-8000-000000000003', '20000000-0000-4000-8000-000000000002', 'enrich_account', 'default',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a20"}', 'pending', 0, 1, 5, '{"percentage": 30}',
     NULL, 'Apollo did not answer', 'Error: timeout', '2026-03-01 08:00:02', NULL, '2026-03-01 08:01:00', NULL, NULL,
     '2026-03-01 08:02:30.5', 60, 'vercel-iad1-1772352060000', '2026-03-01 08:01:05', NULL),
    -- left running by a worker that is gone
    ('70000000-0000-4000-8000-000000000004', '10000000-0000-4000-8000-000000000001', 'enrich_account', 'default',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a11"}', 'processing', 0, 2, 5, '{"percentage": 40}',
     NULL, NULL, NULL, '2026-03-01 08:00:03', NULL, '2026-03-01 08:05:00', NULL, NULL, NULL, 120,
     'vercel-iad1-1772352300000', '2026-03-01 08:05:30', 'a0000000-0000-4000-8000-000000000002'),
    ('70000000-0000-4000-8000-000000000005', '10000000-0000-4000-8000-000000000001', 'enrich_account', 'default',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10"}', 'completed', 5, 1, 5, '{"percentage": 100}',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10", "credits_used": 1, "fields_enriched": 18}', NULL, NULL,
     '2026-03-01 08:00:04', NULL, '2026-03-01 08:10:00', '2026-03-01 08:10:04.25', NULL, NULL, 60,
     'vercel-iad1-1772352600000', '2026-03-01 08:10:02', NULL),
    ('70000000-0000-4000-8000-000000000006', '10000000-0000-4000-8000-000000000001', 'enrich_contact', 'default',
     '{"contact_id": "9b1d7c52-3f0e-4a58-8e57-6c1d40b8e2ab"}', 'failed', 0, 5, 5, '{"percentage": 10}',
     NULL, 'Email or LinkedIn URL required', 'Error: Email', '2026-03-01 08:00:05', NULL, '2026-03-01 08:20:00',
     '2026-03-01 08:20:01', '2026-03-01 08:20:01', NULL, 960, 'vercel-iad1-1772353200000', '2026-03-01 08:20:00', NULL),
    ('70000000-0000-4000-8000-000000000007', '20000000-0000-4000-8000-000000000002', 'enrich_account', 'default',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a20"}', 'dead_letter', 0, 5, 5, '{}',
     NULL, 'Apollo rejected the key', NULL, '2026-03-01 08:00:06', NULL, '2026-03-01 08:21:00', '2026-03-01 08:21:01',
     '2026-03-01 08:21:01', NULL, 960, NULL, NULL, NULL),
    ('70000000-0000-4000-8000-000000000008', '20000000-0000-4000-8000-000000000002', 'enrich_contact', 'default',
     '{"contact_id": "9b1d7c52-3f0e-4a58-8e57-6c1d40b8e2ba"}', 'cancelled', 0, 0, 5, '{}',
     NULL, NULL, NULL, '2026-03-01 08:00:07', NULL, NULL, '2026-03-01 08:30:00', NULL, NULL, 60, NULL, NULL,
     'b0000000-0000-4000-8000-000000000002'),
    -- the application runs this one itself: no worker, no heartbeat
    ('70000000-0000-4000-8000-000000000009', '10000000-0000-4000-8000-000000000001', 'import_csv', 'default',
     '{"file": "accounts.csv"}', 'processing', 0, 0, 5, '{"percentage": 50, "total": 200, "processed": 100, "failed": 0}',
     NULL, NULL, NULL, '2026-03-01 08:00:08', NULL, '2026-03-01 08:40:00', NULL, NULL, NULL, 60, NULL, NULL,
     'a0000000-0000-4000-8000-000000000003'),
    -- no workspace: invisible to every member
    ('70000000-0000-4000-8000-00000000000a', NULL, 'enrich_account', 'default', '{"account_id": null}', 'pending', 0, 0, 5,
     '{}', NULL, NULL, NULL, '2026-03-01 08:00:09', NULL, NULL, NULL, NULL, NULL, 60, NULL, NULL, NULL),
    -- no status, and one that nobody knows
    ('70000000-0000-4000-8000-00000000000b', '10000000-0000-4000-8000-000000000001', 'enrich_account', 'default',
     '{"account_id": null}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-03-01 08:00:10', NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL),
    ('70000000-0000-4000-8000-00000000000c', '10000000-0000-4000-8000-000000000001', 'generate_report', 'default',
     '{}', 'on_hold', 0, NULL, 5, NULL, NULL, NULL, NULL, '2026-03-01 08:00:11', NULL, NULL, NULL, NULL, NULL, 60, NULL, NULL,
     NULL),
    -- nulls where the defaults were meant
    ('70000000-0000-4000-8000-00000000000d', '10000000-0000-4000-8000-000000000001', 'enrich_account', NULL,
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a10"}', 'pending', NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, '2026-03-01 08:00:12', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    -- more attempts than the default maximum, with no maximum of its own
    ('70000000-0000-4000-8000-00000000000e', '20000000-0000-4000-8000-000000000002', 'enrich_account', 'default',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a20"}', 'failed', 10, 7, NULL, '{}',
     NULL, 'Apollo did not answer', NULL, '2026-03-01 08:00:13', NULL, '2026-03-01 08:50:00', '2026-03-01 08:50:01',
     '2026-03-01 08:50:01', NULL, 60, NULL, NULL, NULL),
    -- no time at all
    ('70000000-0000-4000-8000-00000000000f', '20000000-0000-4000-8000-000000000002', 'enrich_account', 'default',
     '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a20"}', 'pending', 0, 0, 5, '{}',
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60, NULL, NULL, NULL);

INSERT INTO public.job_logs (id, job_id, log_level, message, metadata, created_at) VALUES
    ('80000000-0000-4000-8000-000000000001', '70000000-0000-4000-8000-000000000005', 'info', 'Claimed',
     NULL, '2026-03-01 08:10:00'),
    ('80000000-0000-4000-8000-000000000002', '70000000-0000-4000-8000-000000000005', 'info', 'Completed',
     '{"credits_used": 1}', '2026-03-01 08:10:04.25'),
    ('80000000-0000-4000-8000-000000000003', '70000000-0000-4000-8000-000000000003', 'warning', 'Failed, will be retried',
     '{"attempt": 1}', '2026-03-01 08:01:30'),
    ('80000000-0000-4000-8000-000000000004', NULL, 'debug', 'Belongs to no job', NULL, '2026-03-01 08:00:00');

-- Keys as the application stores them: base64 of the plain text.
INSERT INTO public.workspace_settings (id, workspace_id, apollo_api_key_encrypted, apollo_auto_enrich,
                                       enrichment_credits_used, last_enrichment_at, created_at, updated_at) VALUES
    ('90000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000001',
     encode('north-example-apollo-key-0001', 'base64'), true, 37, '2026-03-01 08:10:04.25', '2026-02-01 12:00:00',
     '2026-03-01 08:10:04.25'),
    ('90000000-0000-4000-8000-000000000002', '20000000-0000-4000-8000-000000000002', NULL, false, 0, NULL,
     '2026-02-02 12:00:00', '2026-02-02 12:00:00');

INSERT INTO public.enrichment_cache (workspace_id, provider, lookup_type, lookup_value, enrichment_data, created_at,
                                     expires_at, hit_count) VALUES
    ('10000000-0000-4000-8000-000000000001', 'apollo', 'domain', 'nordlicht.example.com',
     '{"name": "Nordlicht Freight", "industry": "logistics"}', '2026-03-01 08:10:04+00', '2026-03-31 08:10:04+00', 2),
    ('20000000-0000-4000-8000-000000000002', 'apollo', 'domain', 'sunnyfields.example.org',
     '{"name": "Sunny Fields"}', '2026-01-01 00:00:00+00', '2026-01-31 00:00:00+00', 0);
-- The trigger sets the time at which this one ends.
INSERT INTO public.enrichment_cache (workspace_id, provider, lookup_type, lookup_value, enrichment_data, created_at) VALUES
    ('20000000-0000-4000-8000-000000000002', 'apollo', 'email', 'ana.sol@sunnyfields.example.org',
     '{"name": "Ana Sol"}', '2026-03-01 00:00:00+00');

INSERT INTO public.dead_letter_queue (id, workspace_id, job_id, job_type, payload, error_message, attempts, status, failed_at) VALUES
    ('d0000000-0000-4000-8000-000000000001', '20000000-0000-4000-8000-000000000002', '70000000-0000-4000-8000-000000000007',
     'enrich_account', '{"account_id": "5c0f2b1e-7d53-4c6a-9a41-0f2f7b7f3a20"}', 'Apollo rejected the key', 5, 'pending',
     '2026-03-01 08:21:01+00');
