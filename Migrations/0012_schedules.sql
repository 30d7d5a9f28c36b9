-- 0012: recurring jobs: schedules are checked when they are written, and workers are told of them.
-- Locks:   job_schedules against everything, for a moment; no row of it is rewritten.
-- Rollout: workers of earlier versions make no jobs from schedules.
-- Growth:  none; a schedule is one row.

ALTER TABLE public.job_schedules
    -- The role that last said what is to run: a job has no more rights than who arranged it.
    ADD COLUMN written_by      text NOT NULL DEFAULT current_user,
    -- A tick that made no job because an earlier one had not ended.
    ADD COLUMN last_skipped_at timestamptz;

-- For the ticker: what has no next time yet. What can't have one says why in last_error, and is left alone.
CREATE INDEX job_schedules_new ON public.job_schedules (id)
    WHERE enabled AND next_run_at IS NULL AND last_error IS NULL;

-- Refuses what is no cron expression, and names the field. The times themselves are the program's to find; a test
-- compares both readers.
CREATE FUNCTION jobworker.check_cron(expression text) RETURNS void
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    titles constant text[] := ARRAY['minute', 'hour', 'day-of-month', 'month', 'day-of-week'];
    lowest constant int[] := ARRAY[0, 0, 1, 1, 0];
    highest constant int[] := ARRAY[59, 23, 31, 12, 7];
    months constant text[] := ARRAY['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
    weekdays constant text[] := ARRAY['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
    longest constant int[] := ARRAY[31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    fields text[] := regexp_split_to_array(btrim(upper(expression), E' \t'), E'[ \t]+');
    parts text[];
    item text;
    low int;
    high int;
    step int;
    first_day int;
    has_last_day boolean := false;
    room int := 0;  -- days of the longest month that is named
    names text[];
BEGIN
    IF octet_length(expression) > 200 THEN
        RAISE EXCEPTION 'the cron expression is longer than 200 bytes' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF fields[1] ~ '^@' AND cardinality(fields) = 1 THEN
        IF fields[1] <> ALL (ARRAY['@HOURLY', '@DAILY', '@MIDNIGHT', '@WEEKLY', '@MONTHLY', '@YEARLY', '@ANNUALLY']) THEN
            RAISE EXCEPTION '''%'' is not known: write @hourly, @daily, @weekly, @monthly, @yearly or five fields; %',
                expression, 'for a fixed interval give every_seconds instead'
                USING ERRCODE = 'invalid_parameter_value';
        END IF;
        RETURN;
    END IF;
    IF cardinality(fields) <> 5 THEN
        RAISE EXCEPTION '''%'' is no cron expression: it has five fields: minute, hour, day of month, month, day of week',
            expression USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR place IN 1..5 LOOP
        names := CASE place WHEN 4 THEN months WHEN 5 THEN weekdays ELSE '{}' END;
        FOREACH item IN ARRAY string_to_array(fields[place], ',') LOOP
            IF place = 3 AND item = 'L' THEN
                has_last_day := true;
                CONTINUE;
            END IF;
            CONTINUE WHEN item = '?' AND place IN (3, 5);
            parts := CASE WHEN place = 5 AND item ~ '^(?:[0-9]{1,4}|[A-Z]{3})L$' THEN ARRAY[left(item, -1), NULL, NULL]
                          ELSE regexp_match(item, '^(\*|[0-9]{1,4}|[A-Z]{3})(?:-([0-9]{1,4}|[A-Z]{3}))?(?:/([0-9]{1,4}))?$')
                     END;
            low := CASE WHEN parts[1] = '*' THEN lowest[place]
                        WHEN parts[1] ~ '^[0-9]' THEN parts[1]::int
                        ELSE lowest[place] - 1 + array_position(names, parts[1]) END;
            high := CASE WHEN parts[2] IS NULL THEN CASE WHEN parts[1] = '*' OR parts[3] IS NOT NULL THEN highest[place]
                                                         ELSE low END
                         WHEN parts[2] ~ '^[0-9]' THEN parts[2]::int
                         ELSE lowest[place] - 1 + array_position(names, parts[2]) END;
            step := coalesce(parts[3]::int, 1);
            IF place = 5 AND high = 0 AND low > 0 THEN
                high := 7;
            END IF;
            IF coalesce(low NOT BETWEEN lowest[place] AND highest[place], true)
               OR coalesce(high NOT BETWEEN lowest[place] AND highest[place], true)
               OR (parts[1] = '*' AND parts[2] IS NOT NULL) OR step = 0 OR (low > high AND place < 4) THEN
                RAISE EXCEPTION 'the % field ''%'' can''t be read at ''%'': values go from % to %; %', titles[place],
                    fields[place], item, lowest[place], highest[place],
                    'write single ones, lists (1,2), ranges (1-5) and steps (*/10)'
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
            IF place = 3 THEN
                first_day := least(first_day, low);
            ELSIF place = 4 THEN
                SELECT max(longest[(number - 1) % 12 + 1]) INTO high
                FROM generate_series(low, high + CASE WHEN low > high THEN 12 ELSE 0 END, step) AS number;
                room := greatest(room, high);
            END IF;
        END LOOP;
    END LOOP;
    IF first_day > room AND NOT has_last_day AND fields[5] = ANY (ARRAY['*', '?', '*/1']) THEN
        RAISE EXCEPTION 'the day-of-month field ''%'' names no day of the months ''%''', fields[3], fields[4]
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
END
$$;

-- Whoever writes a schedule: what can't work is refused, and the next time is left to the workers unless it is given.
CREATE FUNCTION jobworker.on_schedule_written() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- An explicit null means "the usual".
    NEW.payload      := coalesce(NEW.payload, '{}');
    NEW.job_queue    := coalesce(NEW.job_queue, 'default');
    NEW.priority     := coalesce(NEW.priority, 0);
    NEW.max_attempts := coalesce(NEW.max_attempts, 5);
    NEW.timezone     := coalesce(NEW.timezone, 'UTC');
    NEW.overlap      := coalesce(NEW.overlap, 'skip');
    NEW.catch_up     := coalesce(NEW.catch_up, 'one');
    NEW.enabled      := coalesce(NEW.enabled, true);

    IF TG_OP = 'INSERT' OR NEW.cron IS DISTINCT FROM OLD.cron THEN
        PERFORM jobworker.check_cron(NEW.cron);
    END IF;
    IF TG_OP = 'INSERT' OR NEW.timezone IS DISTINCT FROM OLD.timezone THEN
        BEGIN
            IF NEW.timezone !~ '^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){0,2}$' THEN
                RAISE invalid_parameter_value;
            END IF;
            PERFORM now() AT TIME ZONE NEW.timezone;
        EXCEPTION WHEN invalid_parameter_value THEN
            RAISE EXCEPTION 'the time zone ''%'' is not known: write an IANA name such as Europe/Berlin, or UTC',
                left(NEW.timezone, 100) USING ERRCODE = 'invalid_parameter_value';
        END;
    END IF;

    IF TG_OP = 'INSERT' THEN
        NEW.written_by := current_user;
        RETURN NEW;
    END IF;
    IF (NEW.cron, NEW.every_seconds, NEW.timezone) IS DISTINCT FROM (OLD.cron, OLD.every_seconds, OLD.timezone)
       OR (NEW.enabled AND NOT OLD.enabled) THEN
        -- What was missed while it was paused is not made up for.
        NEW.last_error := NULL;
        IF NEW.next_run_at IS NOT DISTINCT FROM OLD.next_run_at THEN
            NEW.next_run_at := NULL;
        END IF;
    END IF;
    IF (NEW.job_type, NEW.payload, NEW.job_queue, NEW.cron, NEW.every_seconds, NEW.timezone, NEW.priority,
        NEW.max_attempts, NEW.timeout_seconds, NEW.overlap, NEW.catch_up)
       IS DISTINCT FROM (OLD.job_type, OLD.payload, OLD.job_queue, OLD.cron, OLD.every_seconds, OLD.timezone, OLD.priority,
                         OLD.max_attempts, OLD.timeout_seconds, OLD.overlap, OLD.catch_up) THEN
        NEW.written_by := current_user;
    ELSE
        NEW.written_by := OLD.written_by;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER job_schedules_insert BEFORE INSERT ON public.job_schedules
    FOR EACH ROW EXECUTE FUNCTION jobworker.on_schedule_written();
CREATE TRIGGER job_schedules_update BEFORE UPDATE OF workspace_id, name, job_type, payload, job_queue, priority,
        max_attempts, timeout_seconds, cron, every_seconds, timezone, overlap, catch_up, enabled, written_by
    ON public.job_schedules
    FOR EACH ROW EXECUTE FUNCTION jobworker.on_schedule_written();

-- Tells workers that wait: each look at the queue also asks which schedule is next. Two of them, should one be about
-- to stop. A tick moves the time on and tells nobody.
CREATE FUNCTION jobworker.announce_schedule() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify(w.channel, 'schedules')
    FROM (SELECT channel FROM jobworker.waiting_workers WHERE until > clock_timestamp() ORDER BY lot LIMIT 2) AS w;
    RETURN NULL;
END
$$;
CREATE TRIGGER announce_added AFTER INSERT ON public.job_schedules
    FOR EACH ROW WHEN (NEW.enabled) EXECUTE FUNCTION jobworker.announce_schedule();
CREATE TRIGGER announce_changed AFTER UPDATE ON public.job_schedules
    FOR EACH ROW WHEN (NEW.enabled AND NEW.last_error IS NULL
                       AND (NOT OLD.enabled OR NEW.next_run_at IS NULL OR NEW.next_run_at < OLD.next_run_at))
    EXECUTE FUNCTION jobworker.announce_schedule();

-- The worker says whose a schedule's job is; everybody else is who they are.
CREATE OR REPLACE FUNCTION jobworker.on_job_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- An explicit null means "the usual": the application's client sends them for what is not set.
    IF NEW.schedule_id IS NULL OR NEW.inserted_by IS NULL
       OR NOT (pg_has_role('jobworker', 'MEMBER')
               OR pg_has_role((SELECT relowner FROM pg_class WHERE oid = 'public.jobs'::regclass), 'MEMBER')) THEN
        NEW.inserted_by := current_user;
    END IF;
    NEW.job_queue    := coalesce(NEW.job_queue, 'default');
    NEW.priority     := coalesce(NEW.priority, 0);
    NEW.attempts     := coalesce(NEW.attempts, 0);
    NEW.max_attempts := coalesce(NEW.max_attempts, 5);
    NEW.progress     := coalesce(NEW.progress, '{}');
    NEW.created_at   := coalesce(NEW.created_at, now());
    RETURN NEW;
END
$$;

-- Who changed a schedule, and how: everybody but the program on its own behalf, which keeps the times of ticks here.
CREATE OR REPLACE FUNCTION jobworker.acting_via() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN pg_has_role(session_user, 'jobworker', 'MEMBER')
                     AND current_setting('jobworker.via', true) IN ('api', 'cli', 'dashboard', 'worker')
                THEN current_setting('jobworker.via', true) ELSE 'sql' END
$$;
DROP TRIGGER audit_change ON public.job_schedules;
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON public.job_schedules
    FOR EACH ROW WHEN (pg_trigger_depth() = 0
                       AND (NOT pg_has_role('jobworker', 'MEMBER') OR current_setting('jobworker.actor', true) <> ''))
    EXECUTE FUNCTION jobworker.audit_change('schedule', 'name');

-- Adds a job like those of a schedule, due now, whether the schedule is paused or not, and whatever still runs. For admins
-- of the workspace; runs as the owner, as schedule_id is no column of theirs to write.
-- P0002: there is no such schedule, or it isn't the caller's to see. 42501: not the caller's to do.
CREATE FUNCTION jobworker.run_schedule(schedule uuid) RETURNS public.jobs
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_schedule public.job_schedules%ROWTYPE;
    added public.jobs%ROWTYPE;
    is_trusted constant boolean := pg_has_role(jobworker.acting_role(), 'jobworker', 'MEMBER')
        OR pg_has_role(jobworker.acting_role(), 'service_role', 'MEMBER');
BEGIN
    SELECT * INTO found_schedule FROM public.job_schedules
    WHERE id = schedule AND (is_trusted OR jobworker.is_member(workspace_id))
    FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'schedule % not found', schedule USING ERRCODE = 'no_data_found';
    END IF;
    IF NOT is_trusted AND NOT jobworker.is_admin(found_schedule.workspace_id) THEN
        RAISE EXCEPTION 'only admins of the workspace may run a schedule' USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue, priority, max_attempts, timeout_seconds,
                             scheduled_for, schedule_id, created_by, inserted_by)
    VALUES (found_schedule.workspace_id, found_schedule.job_type, found_schedule.payload, found_schedule.job_queue,
            found_schedule.priority, found_schedule.max_attempts, found_schedule.timeout_seconds,
            clock_timestamp(), schedule,
            (SELECT id FROM auth.users WHERE id = jobworker.user_id()),
            CASE WHEN is_trusted THEN found_schedule.written_by ELSE jobworker.acting_role() END)
    RETURNING * INTO added;
    PERFORM jobworker.audit('schedule.run', found_schedule.name, added.workspace_id, added.id, NULL, to_jsonb(added));
    RETURN added;
END
$$;

REVOKE ALL ON FUNCTION jobworker.check_cron(text), jobworker.on_schedule_written(), jobworker.announce_schedule(),
    jobworker.run_schedule(uuid) FROM PUBLIC;
-- The trigger calls it with the rights of whoever writes.
GRANT EXECUTE ON FUNCTION jobworker.check_cron(text), jobworker.run_schedule(uuid)
    TO authenticated, service_role, jobworker;
