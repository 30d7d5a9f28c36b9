package import FoundationEssentials
package import Postgres

/// Which schedules' time has come.
package struct DueSchedules: Sendable {
    package let schedules: [DueSchedule]
    /// When the next of the others is due.
    package let next: Timestamp?
    package let now: Timestamp
    /// There may be more.
    package var isCut: Bool { schedules.count >= JobStore.schedulesMax }
}

/// What came of the step of one schedule.
package struct ScheduleTick: Sendable, Hashable {
    package let id: UUID
    /// Jobs that were made.
    package let added: Int
    /// None was, as an earlier job of the schedule hasn't ended, or has been moved to just that time.
    package let isSkipped: Bool

    package init(id: UUID, added: Int, isSkipped: Bool) {
        self.id = id
        self.added = added
        self.isSkipped = isSkipped
    }
}

extension JobStore {
    /// Schedules that are moved on in one statement.
    package static let schedulesMax = 100
    /// So many of a schedule's newest jobs are looked at for one that hasn't ended.
    private static let overlapDepth = 100

    /// When the next schedule is due: a column of the timer's look. `-infinity` while one has no time yet, null where
    /// there is none. Relies on `job_schedules_new` and `job_schedules_next`: two index probes.
    static let nextSchedule: Fragment = """
        CASE WHEN EXISTS (SELECT FROM public.job_schedules
                          WHERE enabled AND next_run_at IS NULL AND last_error IS NULL)
             THEN '-infinity'::timestamptz
             ELSE (SELECT next_run_at FROM public.job_schedules
                   WHERE enabled AND next_run_at IS NOT NULL ORDER BY next_run_at LIMIT 1)
        END
        """

    /// The schedules whose time has come, and those that have none yet. Relies on the same indexes.
    /// - Parameter resting: Left out, and makes room for others.
    package func dueSchedules(except resting: [UUID] = []) async throws(PostgresError) -> DueSchedules {
        let rows = try await pool.query(
            """
            /* jobworker:schedules.due */
            WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now)
            SELECT clock.now,
                   (SELECT next_run_at FROM public.job_schedules
                    WHERE enabled AND next_run_at > clock.now ORDER BY next_run_at LIMIT 1) AS following, due.*
            FROM clock LEFT JOIN LATERAL (
                (SELECT id, xmin::text AS version, name, next_run_at, cron, every_seconds, timezone, catch_up
                 FROM public.job_schedules
                 WHERE enabled AND next_run_at IS NULL AND last_error IS NULL AND id <> ALL (\(resting))
                 ORDER BY id LIMIT \(JobStore.schedulesMax))
                UNION ALL
                (SELECT id, xmin::text AS version, name, next_run_at, cron, every_seconds, timezone, catch_up
                 FROM public.job_schedules
                 WHERE enabled AND next_run_at <= clock.now AND id <> ALL (\(resting))
                 ORDER BY next_run_at LIMIT \(JobStore.schedulesMax))
                LIMIT \(JobStore.schedulesMax)
            ) AS due ON true
            """)
        guard let first = rows.first else {
            throw PostgresError(.malformed, operation: "jobworker:schedules.due", message: "the statement gave no row")
        }
        var schedules: [DueSchedule] = []
        for row in rows {
            guard let id: UUID = try row.decodeIfPresent("id") else { continue }
            schedules.append(
                DueSchedule(
                    id: id, version: try row.decode("version"), name: try row.decode("name"),
                    nextRunAt: JobStore.nextTime(row, "next_run_at"), cron: try row.decodeIfPresent("cron"),
                    everySeconds: try row.decodeIfPresent("every_seconds"), timeZone: try row.decode("timezone"),
                    catchUp: Schedule.CatchUp(rawValue: try row.decode("catch_up")) ?? .one))
        }
        return DueSchedules(
            schedules: schedules, next: JobStore.nextTime(first, "following"), now: try first.decode("now"))
    }

    /// A schedule's time; the least of all where it has one that can't be read, so that it is looked at. The table
    /// refuses such; if one got in nevertheless it must cost no other schedule, and no claim, the answer.
    /// - Parameter unreadable: What stands for it: `nil` for a job's, of which only those from the year 10000 on can't be
    ///   read, and nobody has to look.
    static func nextTime(
        _ row: Row, _ column: String, unreadable: Timestamp? = .distantPast
    ) -> Timestamp? {
        do throws(PostgresError) { return try row.decodeIfPresent(column) } catch { return unreadable }
    }

    /// Makes the jobs of ticks and sets the next times: all or nothing, in one statement as `ScheduleStep.batches` makes
    /// them up. A single schedule with more ticks than a piece gets a transaction of several.
    ///
    /// Any number of workers may do so at once: who finds a schedule locked, or changed since it was read, leaves it
    /// alone. Repeated after an unknown end it finds the rows changed. Relies on `jobs_schedule_tick`, which also keeps
    /// a tick from making a second job.
    /// - Returns: What came of those that were still as they had been read.
    package func tick(_ steps: [ScheduleStep]) async throws(PostgresError) -> [ScheduleTick] {
        if steps.count == 1, let step = steps.first, step.ticks.count > ScheduleStep.ticksInPiece {
            return try await tickInPieces(step)
        }
        return try JobStore.ticks(try await pool.query(JobStore.ticking(steps)))
    }

    /// The first piece decides whether an earlier job is in the way and sets the next time; the others add jobs.
    private func tickInPieces(_ step: ScheduleStep) async throws(PostgresError) -> [ScheduleTick] {
        var head = step
        head.ticks = Array(step.ticks.prefix(ScheduleStep.ticksInPiece))
        let first = head
        do {
            return try await pool.transaction { connection in
                let rows = try connection.execute(JobStore.ticking([first], latest: step.ticks.last))
                let outcomes = try JobStore.ticks(rows)
                guard let outcome = outcomes.first, try rows.first?.decode("is_busy") == false else { return outcomes }
                var added = outcome.added
                for start in stride(from: first.ticks.count, to: step.ticks.count, by: ScheduleStep.ticksInPiece) {
                    let piece = Array(step.ticks[start...].prefix(ScheduleStep.ticksInPiece))
                    added += try connection.execute(JobStore.tickingOn(step.id, piece)).affected
                }
                return [ScheduleTick(id: step.id, added: added, isSkipped: added == 0)]
            }
        } catch let error as PostgresError {
            throw error
        } catch {
            throw PostgresError(.malformed, operation: "jobworker:schedules.tick", message: "\(error)")
        }
    }

    /// Jobs for further ticks of a schedule that this transaction holds.
    private static func tickingOn(_ id: UUID, _ ticks: [Timestamp]) -> Statement {
        """
        /* jobworker:schedules.tick_on */
        INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue, priority, max_attempts, timeout_seconds,
                                 scheduled_for, schedule_id, inserted_by)
        SELECT workspace_id, job_type, payload, job_queue, priority, max_attempts, timeout_seconds, ticks.at, id, written_by
        FROM public.job_schedules CROSS JOIN unnest(\(ticks)) AS ticks (at)
        WHERE id = \(id)
        ORDER BY ticks.at
        ON CONFLICT (schedule_id, scheduled_for) WHERE schedule_id IS NOT NULL DO NOTHING
        """
    }

    /// - Parameter latest: Of the one step, where that isn't the last tick given.
    private static func ticking(_ steps: [ScheduleStep], latest: Timestamp? = nil) -> Statement {
        let ticks = steps.flatMap { step in step.ticks.map { (id: step.id, at: $0) } }
        return """
            /* jobworker:schedules.tick */
            WITH given AS (
                SELECT * FROM unnest(
                    \(steps.map(\.id)), \(steps.map(\.version)), \(NullableArray(steps.map(\.next))),
                    \(NullableArray(steps.map { latest ?? $0.ticks.last })), \(NullableArray(steps.map(\.error))))
                    AS given (id, version, following, latest, error)
            ),
            ticks AS (
                SELECT * FROM unnest(\(ticks.map(\.id)), \(ticks.map(\.at))) AS ticks (id, at)
            ),
            owned AS MATERIALIZED (
                SELECT schedule.*, given.following, given.latest, given.error
                FROM given JOIN public.job_schedules AS schedule
                    ON schedule.id = given.id AND schedule.xmin::text = given.version
                WHERE schedule.enabled
                ORDER BY schedule.id
                FOR NO KEY UPDATE OF schedule SKIP LOCKED
            ),
            busy AS MATERIALIZED (
                SELECT owned.id FROM owned
                WHERE overlap = 'skip' AND EXISTS (
                    SELECT FROM (SELECT status FROM public.jobs WHERE jobs.schedule_id = owned.id
                                 ORDER BY jobs.scheduled_for DESC LIMIT \(JobStore.overlapDepth)) AS newest
                    WHERE status IN ('pending', 'blocked', 'processing'))
            ),
            added AS (
                INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue, priority, max_attempts,
                                         timeout_seconds, scheduled_for, schedule_id, inserted_by)
                SELECT workspace_id, job_type, payload, job_queue, priority, max_attempts, timeout_seconds, ticks.at,
                       owned.id, written_by
                FROM owned JOIN ticks USING (id)
                WHERE owned.id <> ALL (ARRAY(SELECT id FROM busy))
                ORDER BY ticks.at
                ON CONFLICT (schedule_id, scheduled_for) WHERE schedule_id IS NOT NULL DO NOTHING
                RETURNING schedule_id, scheduled_for
            ),
            outcome AS (
                SELECT owned.id, owned.following, owned.error, owned.latest, count(added.schedule_id) AS added,
                       owned.id = ANY (ARRAY(SELECT id FROM busy)) AS is_busy,
                       owned.latest IS NOT NULL AND count(added.schedule_id) = 0 AS is_skipped
                FROM owned LEFT JOIN added ON added.schedule_id = owned.id
                GROUP BY owned.id, owned.following, owned.error, owned.latest
            ),
            moved AS (
                UPDATE public.job_schedules AS schedule
                SET next_run_at = outcome.following, last_error = outcome.error,
                    last_run_at = CASE WHEN added > 0 THEN latest ELSE last_run_at END,
                    last_skipped_at = CASE WHEN is_skipped THEN latest ELSE last_skipped_at END
                FROM outcome
                WHERE schedule.id = outcome.id
            )
            SELECT id, added, is_busy, is_skipped FROM outcome
            """
    }

    private static func ticks(_ rows: Rows) throws(PostgresError) -> [ScheduleTick] {
        var outcomes: [ScheduleTick] = []
        for row in rows {
            outcomes.append(
                ScheduleTick(
                    id: try row.decode("id"), added: try row.decode("added"), isSkipped: try row.decode("is_skipped")))
        }
        return outcomes
    }
}
