package import Postgres

extension JobStore {
    /// Whether nobody has looked for so long: a column of the timer's look, at a table of one row.
    static func isAlertLookDue(after interval: Duration) -> Fragment {
        """
        coalesce((SELECT looked_at <= clock_timestamp() - \(interval) FROM jobworker.alert_looks), false)
        """
    }

    /// The rules by which alerts are open: a column of the timer's look. Relies on `job_alerts_open`.
    static let openAlertRules: Fragment = """
        ARRAY(SELECT DISTINCT rule FROM public.job_alerts WHERE ended_at IS NULL ORDER BY rule)
        """

    /// Says that jobs of these queues were completed just now.
    package func noteProgress(in queues: Set<String>) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:alerts.progress */
            INSERT INTO jobworker.queue_progress AS known (queue, completed_at)
            SELECT queue, clock_timestamp() FROM unnest(\(queues.sorted())) AS queue
            ON CONFLICT (queue) DO UPDATE SET completed_at = excluded.completed_at
            WHERE known.completed_at < excluded.completed_at
            """)
    }

    /// Looks for what administrators are to be alerted to, unless somebody else has just done so: raises what is new,
    /// resolves what is over, and writes for operators' webhooks, all in one statement.
    ///
    /// Relies on `jobs_due`: two probes for each queue and priority, and for the first 200 queues as many entries as
    /// an alert takes; on `dead_letter_queue_unsettled` and `job_alerts_open`.
    /// - Parameter silence: How long a worker may be silent and still count as alive.
    /// - Returns: What has changed, or `nil` where it wasn't this worker's turn.
    package func lookForAlerts(
        _ rules: AlertRules, silence: Duration, workerID: String
    ) async throws(PostgresError) -> [AlertChange]? {
        // After a break nobody knows whether others were silent, or nothing was done, for lack of a database.
        let longestBreak = max(silence / 2, rules.interval * 3)
        let rows = try await pool.query(
            """
            /* jobworker:alerts.look */
            WITH RECURSIVE turn AS (
                UPDATE jobworker.alert_looks
                SET looked_at = clock_timestamp(),
                    watching_since = CASE WHEN looked_at < clock_timestamp() - \(longestBreak)
                                          THEN clock_timestamp() ELSE watching_since END
                WHERE single = (SELECT single FROM jobworker.alert_looks
                                       WHERE looked_at <= clock_timestamp() - \(rules.interval)
                                       FOR NO KEY UPDATE SKIP LOCKED)
                RETURNING looked_at AS now, watching_since
            ),
            \(JobStore.queuesWithWork(rules)),
            \(JobStore.situations(rules, silence: silence)),
            kept AS (
                UPDATE public.job_alerts AS alert
                SET last_at = turn.now, value = found.value, message = found.message
                FROM found, turn
                WHERE alert.ended_at IS NULL AND alert.rule = found.rule AND alert.subject = found.subject
            ),
            raised AS (
                INSERT INTO public.job_alerts (rule, subject, message, value, threshold, since, last_at, raised_by)
                SELECT found.rule, found.subject, found.message, found.value, found.threshold, turn.now, turn.now,
                       \(workerID)
                FROM found, turn
                WHERE found.is_new
                ON CONFLICT (rule, subject) WHERE ended_at IS NULL DO NOTHING
                RETURNING *
            ),
            resolved AS (
                UPDATE public.job_alerts AS alert SET ended_at = turn.now, resolved_by = \(workerID)
                FROM turn
                WHERE alert.ended_at IS NULL
                  AND NOT EXISTS (SELECT FROM found WHERE found.rule = alert.rule AND found.subject = alert.subject)
                RETURNING alert.*
            ),
            changed AS (SELECT * FROM raised UNION ALL SELECT * FROM resolved),
            told AS (
                INSERT INTO public.webhook_deliveries (endpoint_id, event, payload, created_at)
                SELECT endpoint.id, event.name, to_jsonb(changed), clock_timestamp()
                FROM changed
                CROSS JOIN LATERAL (SELECT CASE WHEN changed.ended_at IS NULL THEN 'alert.raised'
                                                ELSE 'alert.resolved' END) AS event (name)
                JOIN (SELECT id, events FROM public.webhook_endpoints WHERE workspace_id IS NULL AND enabled
                      FOR KEY SHARE SKIP LOCKED) AS endpoint ON coalesce(event.name = ANY (endpoint.events), true)
            ),
            cleared AS (
                DELETE FROM public.job_alerts WHERE id = ANY (ARRAY(
                    SELECT id FROM public.job_alerts
                    WHERE ended_at < clock_timestamp() - interval '90 days' AND EXISTS (SELECT FROM turn)
                    ORDER BY since LIMIT 100))
            )
            SELECT true AS is_change, \(sql: Alert.columns) FROM changed
            UNION ALL
            SELECT false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, now FROM turn
            """)
        guard !rows.isEmpty else { return nil }
        var changes: [AlertChange] = []
        for row in rows where try row.decode("is_change") { changes.append(AlertChange(alert: try Alert(row))) }
        return changes
    }

    /// The table `working`, and what it needs: the queues with due jobs, how many, as far as an alert takes, and since when.
    private static func queuesWithWork(_ rules: AlertRules) -> Fragment {
        let isWanted = rules.queueDepth > 0 || rules.stalledAfter > .zero
        return """
            \(everyLane(named: [], others: isWanted ? 1 : 0)),
            working AS MATERIALIZED (
                SELECT lanes.queue AS name, sum(lane.count)::bigint AS due, min(lane.oldest) AS oldest
                FROM (SELECT * FROM lanes
                      WHERE EXISTS (SELECT FROM turn) AND queue = ANY (ARRAY(SELECT DISTINCT queue FROM lanes ORDER BY queue LIMIT 200))) AS lanes
                CROSS JOIN turn CROSS JOIN LATERAL (
                    SELECT count(*) AS count, min(due_at) AS oldest
                    FROM (SELECT greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) AS due_at
                          FROM public.jobs
                          WHERE jobs.status = 'pending' AND coalesce(jobs.job_queue, 'default') = lanes.queue
                            AND coalesce(jobs.priority, 0) = lanes.urgency
                            AND greatest(jobs.created_at, jobs.scheduled_for, jobs.next_retry_at) <= turn.now
                            AND jobs.workspace_id IS NOT NULL
                          \(inOrder)
                          LIMIT \(max(1, rules.queueDepth))) AS due
                ) AS lane
                GROUP BY lanes.queue
                HAVING sum(lane.count) > 0
            )
            """
    }

    /// The table `found`: what is so now, and whether it is reason enough for an alert, or only for one to stay open.
    private static func situations(_ rules: AlertRules, silence: Duration) -> Fragment {
        """
        found (rule, subject, message, value, threshold, is_new) AS MATERIALIZED (
            SELECT 'dead_letter', job_type::text,
                   format(CASE count WHEN 1 THEN '%s job of the type %s was set aside in the last hour'
                                     ELSE '%s jobs of the type %s were set aside in the last hour' END, count, job_type),
                   count, \(rules.deadLetters)::bigint, count >= \(rules.deadLetters)
            FROM (SELECT job_type, count(*) AS count
                  FROM (SELECT job_type FROM public.dead_letter_queue, turn
                        WHERE status IN ('pending', 'investigating') AND added_at > turn.now - interval '1 hour'
                          AND \(rules.deadLetters > 0)
                        ORDER BY added_at DESC LIMIT 10000) AS lately
                  GROUP BY job_type ORDER BY job_type LIMIT 100) AS letters
            UNION ALL
            -- It stays open until a fifth is gone, or it would come and go.
            SELECT 'queue_depth', name, format('%s jobs or more of the queue %s are due', least(due, \(rules.queueDepth)), name),
                   least(due, \(rules.queueDepth)), \(rules.queueDepth)::bigint, due >= \(rules.queueDepth)
            FROM working WHERE \(rules.queueDepth > 0) AND due >= \(rules.queueDepth) * 0.8
            UNION ALL
            SELECT 'stalled', working.name,
                   format('none of the %s due jobs of the queue %s was completed for %s seconds', working.due,
                          working.name, idle.seconds),
                   idle.seconds, extract(epoch FROM \(rules.stalledAfter))::bigint, true
            FROM working CROSS JOIN turn
            LEFT JOIN public.job_queues AS queue ON queue.name = working.name
            LEFT JOIN jobworker.queue_progress AS progress ON progress.queue = working.name
            CROSS JOIN LATERAL (
                SELECT extract(epoch FROM turn.now - greatest(
                    working.oldest, progress.completed_at, turn.watching_since, queue.updated_at))::bigint
            ) AS idle (seconds)
            WHERE \(rules.stalledAfter > .zero) AND queue.paused_at IS NULL
              AND idle.seconds >= extract(epoch FROM \(rules.stalledAfter))
            UNION ALL
            -- Whoever took over the place of the one that died is heard of later.
            SELECT 'worker_lost', lost.instance || '@' || lost.host,
                   format('the worker %s fell silent while it ran %s jobs', lost.id, lost.running),
                   extract(epoch FROM turn.now - lost.seen_at)::bigint, extract(epoch FROM \(silence))::bigint, true
            FROM (SELECT DISTINCT ON (instance, host) * FROM public.job_workers WHERE \(rules.tellsLostWorkers)
                  ORDER BY instance, host, seen_at DESC) AS lost CROSS JOIN turn
            WHERE lost.stopped_at IS NULL AND lost.seen_at > turn.now - interval '1 day'
              AND greatest(lost.seen_at, turn.watching_since) < turn.now - \(silence)
        )
        """
    }

    /// Alerts, the newest first: the open ones, or all. Relies on `job_alerts_newest`.
    package func alerts(withEnded: Bool, limit: Int) async throws(PostgresError) -> [Alert] {
        let rows = try await pool.query(
            """
            /* jobworker:alerts.list */
            SELECT \(sql: Alert.columns) FROM public.job_alerts
            WHERE \(withEnded) OR ended_at IS NULL
            ORDER BY since DESC, id DESC LIMIT \(limit)
            """)
        var alerts: [Alert] = []
        for row in rows { alerts.append(try Alert(row)) }
        return alerts
    }

    /// How many alerts are open, by their rule. Relies on `job_alerts_open`.
    package func openAlertCounts() async throws(PostgresError) -> [AlertRule: Int] {
        let rows = try await pool.query(
            """
            /* jobworker:alerts.open */
            SELECT rule, count(*) AS count FROM public.job_alerts WHERE ended_at IS NULL GROUP BY rule
            """)
        var counts: [AlertRule: Int] = [:]
        for row in rows {
            guard let rule = AlertRule(rawValue: try row.decode("rule")) else { continue }
            counts[rule] = try row.decode("count")
        }
        return counts
    }
}
