import FoundationEssentials
import Postgres

/// How many requests a workspace's key makes in a window, counted by all processes together.
///
/// One row of `public.rate_limits`, `apollo:<workspace>`, holds the times of the window's requests. A turn is
/// given or refused by one statement and the database's clock, so no window of that length, wherever it begins,
/// holds more than `max_requests`. The row's own `max_requests` counts; the setting is what a new row starts with.
struct RateLimit: Sendable {
    enum Turn: Sendable, Hashable {
        /// - maxRequests: What the row allows in a window.
        case granted(maxRequests: Int)
        /// - reason: Why, if it is more than a full window.
        case wait(Duration, until: Timestamp?, reason: String?)
    }

    let pool: ConnectionPool
    /// `max_requests` of a workspace without a row.
    let perMinute: Int

    private static func key(_ workspace: UUID) -> String { "apollo:\(workspace.text)" }

    /// Takes a turn, or tells when to ask again.
    ///
    /// Requests count a second longer than the window: one may reach Apollo later than it was counted here.
    func take(workspace: UUID) async throws(PostgresError) -> Turn {
        let granted = try await pool.query(
            """
            /* jobworker:enrichment.take_turn */
            INSERT INTO public.rate_limits AS held
                (workspace_id, key, requests, window_start, window_duration, max_requests, last_request_at, recent)
            VALUES (\(workspace), \(RateLimit.key(workspace)), 1, clock_timestamp(), interval '1 minute',
                    \(perMinute), clock_timestamp(), ARRAY[clock_timestamp()])
            ON CONFLICT (key) DO UPDATE
            SET (workspace_id, recent, requests, window_start, last_request_at) = (
                    SELECT excluded.workspace_id,
                           array_append(coalesce(array_agg(past.at ORDER BY past.at), '{}'), clock_timestamp()),
                           count(*) + 1, coalesce(min(past.at), clock_timestamp()), clock_timestamp()
                    FROM unnest(held.recent) AS past (at)
                    WHERE past.at > clock_timestamp() - held.window_duration - interval '1 second')
            WHERE (held.workspace_id = excluded.workspace_id OR held.workspace_id IS NULL)
              AND (held.blocked_until IS NULL OR held.blocked_until <= clock_timestamp())
              AND (SELECT count(*) FROM unnest(held.recent) AS past (at)
                   WHERE past.at > clock_timestamp() - held.window_duration - interval '1 second')
                  < held.max_requests
            RETURNING held.max_requests
            """)
        if let row = granted.first { return .granted(maxRequests: try row.decode("max_requests")) }
        return try await next(workspace: workspace)
    }

    /// When it is worth asking again. Those who wait already come first: each full window of them adds a window,
    /// so that a long queue is not woken and put back every minute.
    func next(workspace: UUID) async throws(PostgresError) -> Turn {
        let rows = try await pool.query(
            """
            /* jobworker:enrichment.next_turn */
            SELECT free.at AS free_at, extract(epoch FROM free.at - clock_timestamp())::float8 AS wait_seconds,
                   CASE WHEN held.blocked_until > clock_timestamp() THEN held.blocked_reason END AS reason
            FROM public.rate_limits AS held
            CROSS JOIN LATERAL (
                SELECT count(*) AS jobs FROM (
                    SELECT FROM public.jobs
                    WHERE jobs.workspace_id = \(workspace) AND jobs.status = 'pending'
                      AND jobs.job_type IN ('enrich_account', 'enrich_contact')
                      AND jobs.next_retry_at > clock_timestamp()
                    LIMIT 6000) AS counted) AS waiting
            CROSS JOIN LATERAL (
                SELECT greatest(
                    clock_timestamp(), held.blocked_until,
                    (SELECT past.at + held.window_duration + interval '1 second'
                     FROM unnest(held.recent) AS past (at)
                     ORDER BY past.at DESC OFFSET greatest(held.max_requests, 1) - 1 LIMIT 1))
                    + held.window_duration * (waiting.jobs / greatest(held.max_requests, 1))::float8 AS at) AS free
            WHERE held.key = \(RateLimit.key(workspace)) AND held.workspace_id = \(workspace)
            """)
        guard let row = rows.first else {
            // Removed between the two statements: the next try makes a new row.
            return .wait(.zero, until: nil, reason: nil)
        }
        return .wait(
            .fractionalSeconds(try row.decode("wait_seconds")), until: try row.decode("free_at"),
            reason: try row.decodeIfPresent("reason"))
    }

    /// Lets nobody of the workspace ask before `pause` has passed; a longer pause that holds already stays.
    func pause(workspace: UUID, for pause: Duration, reason: String) async throws(PostgresError) {
        try await pool.query(
            """
            /* jobworker:enrichment.pause */
            UPDATE public.rate_limits
            SET blocked_until = clock_timestamp() + \(pause), blocked_reason = \(reason)
            WHERE key = \(RateLimit.key(workspace)) AND workspace_id = \(workspace)
              AND (blocked_until IS NULL OR blocked_until < clock_timestamp() + \(pause))
            """)
    }

    /// Takes over what the headers of an answer tell: a lower limit, and that none is left in this minute.
    ///
    /// - Parameter maxRequests: What `take` was told; nothing is written when there is nothing new.
    func learn(workspace: UUID, _ usage: ApolloUsage, maxRequests: Int) async throws(PostgresError) {
        if let perMinute = usage.perMinute, perMinute >= 1, perMinute < maxRequests {
            try await pool.query(
                """
                /* jobworker:enrichment.lower_limit */
                UPDATE public.rate_limits SET max_requests = \(perMinute)
                WHERE key = \(RateLimit.key(workspace)) AND workspace_id = \(workspace)
                  AND max_requests > \(perMinute)
                """)
        }
        if let left = usage.leftThisMinute, left <= 0 {
            // Where in its minute Apollo is, is not told: a whole one is always enough.
            try await pause(
                workspace: workspace, for: ApolloWindow.minute.pause,
                reason: "Apollo has no requests left in this minute")
        }
    }
}
