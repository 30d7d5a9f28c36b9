-- 0018: webhooks: events of jobs become deliveries in the transaction that changes the job.
-- Locks:   jobs, webhook_endpoints and webhook_deliveries against everything, for a moment; no row is rewritten.
-- Rollout: before the workers of this version; earlier ones write events, too, as triggers do it, and send none.
-- Growth:  webhook_deliveries gets a row for each event and endpoint that asks for it. Settled ones go after
--          WORKER_WEBHOOK_KEEP_DAYS.
-- Cost:    without any endpoint each change of a status reads a sequence; see below.

ALTER TABLE public.webhook_endpoints
    -- Nothing is sent before: set when tries fail one after the other.
    ADD COLUMN retry_at timestamptz;

ALTER TABLE public.webhook_deliveries
    -- No further try is made after it.
    ADD COLUMN give_up_at timestamptz NOT NULL DEFAULT now() + interval '1 day';

-- For the sender: each endpoint's own next, so that one with many waiting hides nobody else's.
CREATE INDEX webhook_deliveries_endpoint_due ON public.webhook_deliveries (endpoint_id, next_attempt_at, id)
    WHERE status = 'pending';
-- For clearing away, and for lists over all endpoints.
CREATE INDEX webhook_deliveries_newest ON public.webhook_deliveries (created_at DESC, id DESC);

-- Whether there are endpoints at all, told by a sequence: once called there may be some. A sequence belongs to no
-- transaction, so that a change of a job sees it without a snapshot, a plan or a function of its own. It is set before
-- an endpoint becomes visible, and unset under a lock that no new endpoint passes: it may say yes in vain, and never no.
--
-- Measured with the statement that stores completions, five and fifty at a time, as more time for a row while there are
-- no endpoints:
--     a sequence in WHEN (this)                                3 %, 0 %
--     the same with all other conditions in WHEN, too          9 %, 0 %: each statement reads the expression anew
--     a function for each row that looks for endpoints        19 %, 18 %
--     a function for each statement, old and new rows kept     4 %, 4 %, and as much at each claim and heartbeat
-- A flag on the row would have to be kept for jobs that are there already when an endpoint is added.
CREATE SEQUENCE jobworker.webhooks_in_use AS int MAXVALUE 2 NO CYCLE;
REVOKE ALL ON SEQUENCE jobworker.webhooks_in_use FROM PUBLIC;
-- The condition of a trigger is asked with the rights of whoever changes the job.
GRANT SELECT ON SEQUENCE jobworker.webhooks_in_use TO PUBLIC;

-- A value as receivers may see it: what is named like a secret is left out, and what lies too deep.
CREATE FUNCTION jobworker.without_secrets(value jsonb, depth int DEFAULT 16) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF jsonb_typeof(value) NOT IN ('object', 'array') THEN
        RETURN value;
    ELSIF depth <= 0 THEN
        RETURN '"(left out)"';
    ELSIF jsonb_typeof(value) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(jobworker.without_secrets(one.value, depth - 1) ORDER BY one.place), '[]')
                FROM jsonb_array_elements(without_secrets.value) WITH ORDINALITY AS one (value, place));
    END IF;
    RETURN (SELECT coalesce(jsonb_object_agg(one.key, CASE
                WHEN one.key ~* '(secret|encrypted|token|passw|credential|authorization|cookie|(api|private|access)[_-]?key)'
                     AND jsonb_typeof(one.value) NOT IN ('null', 'boolean') THEN '"(secret)"'
                ELSE jobworker.without_secrets(one.value, depth - 1) END), '{}')
            FROM jsonb_each(without_secrets.value) AS one);
END
$$;

-- A job as its events show it: the names of the API, nothing of the claim, no stack, and large values left out.
CREATE FUNCTION jobworker.event_data(job public.jobs) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    largest constant int := 16384;
    has_payload constant boolean := pg_column_size(job.payload) <= largest AND octet_length(job.payload::text) <= largest;
    has_result constant boolean := job.result IS NULL
        OR (pg_column_size(job.result) <= largest AND octet_length(job.result::text) <= largest);
BEGIN
    RETURN jsonb_build_object(
        'id', job.id, 'workspace_id', job.workspace_id, 'job_type', job.job_type,
        'job_queue', coalesce(job.job_queue, 'default'), 'status', job.status,
        'priority', coalesce(job.priority, 0), 'attempts', coalesce(job.attempts, 0),
        'max_attempts', coalesce(job.max_attempts, 5),
        'payload', CASE WHEN has_payload THEN jobworker.without_secrets(job.payload) END,
        'result', CASE WHEN has_result THEN jobworker.without_secrets(job.result) END,
        'omitted', to_jsonb(array_remove(ARRAY[CASE WHEN NOT has_payload THEN 'payload' END,
                                               CASE WHEN NOT has_result THEN 'result' END], NULL)),
        'error_message', left(job.error_message, 8192),
        'created_at', job.created_at, 'scheduled_for', job.scheduled_for, 'started_at', job.started_at,
        'completed_at', job.completed_at, 'failed_at', job.failed_at, 'next_retry_at', job.next_retry_at,
        'created_by', job.created_by, 'unique_key', job.unique_key, 'workflow_id', job.workflow_id,
        'schedule_id', job.schedule_id, 'replay_of', job.replay_of);
END
$$;

-- Writes a delivery for each endpoint that asks for the event. One that is being removed at this moment gets none: to
-- wait for its end would let a member keep everybody's jobs from being stored.
CREATE FUNCTION jobworker.record_event() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    happened constant text := CASE NEW.status
        WHEN 'completed' THEN 'job.completed' WHEN 'failed' THEN 'job.failed'
        WHEN 'dead_letter' THEN 'job.dead_letter' WHEN 'cancelled' THEN 'job.cancelled'
        -- An attempt failed and another follows. One that was given back, or that waits, doesn't count.
        WHEN 'pending' THEN CASE WHEN OLD.status = 'processing' AND NEW.attempts >= OLD.attempts
                                      AND NEW.error_message IS NOT NULL THEN 'job.retried' END END;
BEGIN
    IF happened IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.webhook_deliveries (endpoint_id, workspace_id, job_id, event, payload, created_at)
    SELECT endpoint.id, NEW.workspace_id, NEW.id, happened, jobworker.event_data(NEW), clock_timestamp()
    FROM public.webhook_endpoints AS endpoint
    WHERE endpoint.workspace_id = NEW.workspace_id AND endpoint.enabled
      AND coalesce(happened = ANY (endpoint.events), true)
      AND coalesce(NEW.job_type = ANY (endpoint.job_types), true)
    FOR KEY SHARE SKIP LOCKED;
    RETURN NULL;
END
$$;

CREATE TRIGGER jobs_record_event AFTER UPDATE OF status ON public.jobs
    FOR EACH ROW WHEN (
        pg_sequence_last_value('jobworker.webhooks_in_use') IS NOT NULL
        AND NEW.status IS DISTINCT FROM OLD.status AND NEW.status <> 'processing')
    EXECUTE FUNCTION jobworker.record_event();

-- Tells those who send. Sent only where a delivery was written.
CREATE FUNCTION jobworker.announce_delivery() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('jobworker_webhook', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_added AFTER INSERT ON public.webhook_deliveries
    FOR EACH ROW WHEN (NEW.status = 'pending') EXECUTE FUNCTION jobworker.announce_delivery();
CREATE TRIGGER announce_again AFTER UPDATE OF status ON public.webhook_deliveries
    FOR EACH ROW WHEN (NEW.status = 'pending' AND OLD.status <> 'pending') EXECUTE FUNCTION jobworker.announce_delivery();

-- Whoever writes an endpoint: what can't work is refused.
CREATE FUNCTION jobworker.on_endpoint_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known constant text[] := ARRAY['job.completed', 'job.failed', 'job.dead_letter', 'job.cancelled', 'job.retried'];
    unknown text;
BEGIN
    IF NEW.url !~* '^https?://[^/?#@[:space:][:cntrl:]]+([/?#][^[:space:][:cntrl:]]*)?$' THEN
        RAISE EXCEPTION 'the URL must begin with https:// or http://, name a host, and hold no user, password or space'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- None means all, as an absent list does.
    NEW.events := nullif(NEW.events, '{}');
    NEW.job_types := nullif(NEW.job_types, '{}');
    SELECT event INTO unknown FROM unnest(NEW.events) AS event WHERE coalesce(event <> ALL (known), true) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the event ''%'' is not known; known are %', left(coalesce(unknown, 'null'), 100),
            array_to_string(known, ', ') USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF cardinality(NEW.job_types) > 100 THEN
        RAISE EXCEPTION 'an endpoint names at most 100 job types' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF TG_OP = 'INSERT' THEN
        PERFORM setval('jobworker.webhooks_in_use', 1);
        IF (SELECT count(*) FROM public.webhook_endpoints WHERE workspace_id = NEW.workspace_id) >= 50 THEN
            RAISE EXCEPTION 'a workspace has at most 50 endpoints' USING ERRCODE = 'invalid_parameter_value';
        END IF;
    ELSIF NEW.url <> OLD.url OR (NEW.enabled AND NOT OLD.enabled) THEN
        -- A new start.
        NEW.consecutive_failures := 0;
        NEW.retry_at := NULL;
    END IF;
    IF NEW.enabled THEN
        NEW.disabled_reason := NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER webhook_endpoints_insert BEFORE INSERT ON public.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION jobworker.on_endpoint_written();
CREATE TRIGGER webhook_endpoints_update BEFORE UPDATE OF url, events, job_types, enabled ON public.webhook_endpoints
    FOR EACH ROW EXECUTE FUNCTION jobworker.on_endpoint_written();

SELECT setval('jobworker.webhooks_in_use', 1) WHERE EXISTS (SELECT FROM public.webhook_endpoints);

-- Lets the ends of jobs cost nothing again once the last endpoint is gone; asked for now and then. Waits for nobody: while
-- somebody writes an endpoint the answer is no.
CREATE FUNCTION jobworker.rest_webhooks() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_sequence_last_value('jobworker.webhooks_in_use') IS NULL
       OR EXISTS (SELECT FROM public.webhook_endpoints) THEN
        RETURN false;
    END IF;
    LOCK TABLE public.webhook_endpoints IN SHARE MODE NOWAIT;
    IF EXISTS (SELECT FROM public.webhook_endpoints) THEN
        RETURN false;
    END IF;
    PERFORM setval('jobworker.webhooks_in_use', 1, false);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END
$$;

-- Sends a delivery that is settled once more, as it was. For admins of the workspace.
-- P0002: there is no such delivery, or it isn't the caller's to see. 42501: not the caller's to do. JW409: it waits to be
-- sent anyway, or its endpoint is disabled.
CREATE FUNCTION jobworker.redeliver(delivery uuid) RETURNS public.webhook_deliveries
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_delivery public.webhook_deliveries%ROWTYPE;
    is_trusted constant boolean := jobworker.is_trusted();
BEGIN
    SELECT * INTO found_delivery FROM public.webhook_deliveries
    WHERE id = delivery AND (is_trusted OR jobworker.is_admin(workspace_id))
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'delivery % not found', delivery USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT EXISTS (SELECT FROM public.webhook_endpoints WHERE id = found_delivery.endpoint_id AND enabled) THEN
        RAISE EXCEPTION 'the endpoint of delivery % is disabled: enable it first', delivery USING ERRCODE = 'JW409';
    END IF;
    IF found_delivery.status = 'pending' AND found_delivery.attempts = 0 THEN
        RAISE EXCEPTION 'delivery % is waiting to be sent already', delivery USING ERRCODE = 'JW409';
    END IF;
    UPDATE public.webhook_deliveries
    SET status = 'pending', attempts = 0, next_attempt_at = clock_timestamp(), delivered_at = NULL,
        give_up_at = clock_timestamp() + interval '1 day'
    WHERE id = delivery
    RETURNING * INTO found_delivery;
    PERFORM jobworker.audit('webhook.redeliver', found_delivery.endpoint_id::text, found_delivery.workspace_id,
                            found_delivery.job_id, NULL, jsonb_build_object('delivery', delivery, 'event', found_delivery.event));
    PERFORM pg_notify('jobworker_webhook', '');
    RETURN found_delivery;
END
$$;

-- An event of its own that shows whether an endpoint hears. For admins of the workspace; sent also where the endpoint
-- doesn't ask for it. The same errors.
CREATE FUNCTION jobworker.test_webhook(endpoint uuid) RETURNS public.webhook_deliveries
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_endpoint public.webhook_endpoints%ROWTYPE;
    added public.webhook_deliveries%ROWTYPE;
    is_trusted constant boolean := jobworker.is_trusted();
BEGIN
    SELECT * INTO found_endpoint FROM public.webhook_endpoints
    WHERE id = endpoint AND (is_trusted OR jobworker.is_admin(workspace_id))
    FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'webhook % not found', endpoint USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT found_endpoint.enabled THEN
        RAISE EXCEPTION 'webhook % is disabled: enable it first', endpoint USING ERRCODE = 'JW409';
    END IF;
    INSERT INTO public.webhook_deliveries (endpoint_id, workspace_id, event, payload, created_at)
    VALUES (endpoint, found_endpoint.workspace_id, 'test',
            jsonb_build_object('endpoint_id', endpoint, 'workspace_id', found_endpoint.workspace_id,
                               'message', 'This is a test of your webhook.'), clock_timestamp())
    RETURNING * INTO added;
    PERFORM jobworker.audit('webhook.test', endpoint::text, found_endpoint.workspace_id, NULL, NULL,
                            jsonb_build_object('delivery', added.id));
    RETURN added;
END
$$;

-- Who changed an endpoint, and how: everybody but the program on its own behalf, which counts failures here.
DROP TRIGGER audit_change ON public.webhook_endpoints;
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON public.webhook_endpoints
    FOR EACH ROW WHEN (pg_trigger_depth() = 0
                       AND (NOT pg_has_role('jobworker', 'MEMBER') OR current_setting('jobworker.actor', true) <> ''))
    EXECUTE FUNCTION jobworker.audit_change('webhook', 'id');

-- What counts failures is the program's.
GRANT SELECT (retry_at) ON public.webhook_endpoints TO authenticated;
REVOKE UPDATE (consecutive_failures, disabled_reason) ON public.webhook_endpoints FROM authenticated;

REVOKE ALL ON FUNCTION jobworker.without_secrets(jsonb, int), jobworker.event_data(public.jobs),
    jobworker.record_event(), jobworker.announce_delivery(), jobworker.on_endpoint_written(), jobworker.rest_webhooks(),
    jobworker.redeliver(uuid), jobworker.test_webhook(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jobworker.rest_webhooks() TO jobworker;
GRANT EXECUTE ON FUNCTION jobworker.redeliver(uuid), jobworker.test_webhook(uuid)
    TO authenticated, service_role, jobworker;
