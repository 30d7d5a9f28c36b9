import Cron
package import FoundationEssentials
package import Postgres

/// Schedules as people write them: each method within a transaction of its caller's, whose rights decide.
package enum ScheduleTable {
    /// Who writes.
    package enum Writer: Sendable {
        /// A member of a workspace.
        case member(UUID)
        /// The program itself, for somebody whom the transaction names.
        case program
    }

    /// - Throws: `ScheduleRefusal.exists`, `.invalid`; `PostgresError`.
    package static func add(
        _ changes: ScheduleChanges, named name: String, in workspace: UUID, by writer: Writer,
        on connection: isolated Connection
    ) throws -> Schedule {
        try changes.check()
        guard let jobType = changes.jobType, !jobType.isEmpty else {
            throw ScheduleRefusal.invalid("job_type is missing")
        }
        guard let pace = changes.pace else { throw ScheduleRefusal.invalid("give either cron or every_seconds") }
        guard (1...200).contains(name.unicodeScalars.count) else {
            throw ScheduleRefusal.invalid("the name must have 1 to 200 characters")
        }
        var creator: UUID?
        if case .member(let id) = writer { creator = id }
        let timeZone = changes.timeZone ?? "UTC"
        let now = try self.now(connection)
        let isEnabled = changes.isEnabled ?? true
        let next = isEnabled ? try next(pace, timeZone, after: now) : nil
        let rows = try connection.execute(
            """
            /* jobworker:schedules.add */
            INSERT INTO public.job_schedules
                (workspace_id, name, job_type, payload, job_queue, priority, max_attempts, timeout_seconds, cron,
                 every_seconds, timezone, overlap, catch_up, enabled, next_run_at, created_by)
            VALUES (\(workspace), \(name), \(jobType), \(changes.payload ?? JSONText("{}")),
                    \(changes.queue ?? "default"), \(changes.priority ?? 0), \(changes.maxAttempts ?? 5),
                    \(changes.timeoutSeconds ?? nil), \(pace.cron), \(pace.everySeconds), \(timeZone),
                    \((changes.overlap ?? .skip).rawValue), \((changes.catchUp ?? .one).rawValue), \(isEnabled), \(next),
                    \(creator))
            ON CONFLICT (workspace_id, name) DO NOTHING
            RETURNING \(sql: Schedule.columns)
            """)
        guard let row = rows.first else { throw ScheduleRefusal.exists(name) }
        let schedule = try Schedule(row)
        return schedule
    }

    /// Changes what is given and differs.
    /// - Returns: The schedule as it is now, and which columns have changed.
    /// - Throws: `ScheduleRefusal`, `PostgresError`.
    package static func change(
        _ id: UUID, _ changes: ScheduleChanges, by writer: Writer, on connection: isolated Connection
    ) throws -> (schedule: Schedule, columns: [String]) {
        try changes.check()
        let locked = try connection.execute(
            """
            /* jobworker:schedules.lock */
            SELECT \(sql: Schedule.columns) FROM public.job_schedules WHERE id = \(id) FOR NO KEY UPDATE
            """)
        guard let row = locked.first else { throw ScheduleRefusal.notFound(id.text) }
        let old = try Schedule(row)
        let new = Merged(old, changes)
        let columns = try new.differences(from: old, payload: changes.payload, connection)
        guard !columns.isEmpty else { return (old, []) }
        // A paused one has none; so whoever lets it go on gives it another than it had.
        var next = new.isEnabled ? old.nextRunAt : nil
        if new.isEnabled, !old.isEnabled || !Set(columns).isDisjoint(with: ["cron", "every_seconds", "timezone"]) {
            next = try self.next(new.pace, new.timeZone, after: old.asOf)
        }
        let rows = try connection.execute(
            """
            /* jobworker:schedules.change */
            UPDATE public.job_schedules
            SET job_type = \(new.jobType), payload = coalesce(\(changes.payload), payload), job_queue = \(new.queue),
                priority = \(new.priority), max_attempts = \(new.maxAttempts), timeout_seconds = \(new.timeoutSeconds),
                cron = \(new.pace.cron), every_seconds = \(new.pace.everySeconds), timezone = \(new.timeZone),
                overlap = \(new.overlap.rawValue), catch_up = \(new.catchUp.rawValue), enabled = \(new.isEnabled),
                next_run_at = \(next)
            WHERE id = \(id)
            RETURNING \(sql: Schedule.columns)
            """)
        guard let row = rows.first else { throw ScheduleRefusal.notFound(id.text) }
        let schedule = try Schedule(row)
        return (schedule, columns)
    }

    /// Adds it, or makes it what it is to be.
    /// - Returns: Whether anything was written.
    /// - Throws: `ScheduleRefusal`, `PostgresError`.
    package static func put(
        _ wanted: NamedSchedule, by writer: Writer, on connection: isolated Connection
    ) throws -> Bool {
        // Nearly always all is as it should be: that is found out without a lock, for which one may have to wait.
        if let found = try find(named: wanted.name, in: wanted.workspaceID, on: connection) {
            let columns = try Merged(found, wanted.changes).differences(
                from: found, payload: wanted.changes.payload, connection)
            if columns.isEmpty { return false }
        } else {
            do {
                _ = try add(wanted.changes, named: wanted.name, in: wanted.workspaceID, by: writer, on: connection)
                return true
            } catch ScheduleRefusal.exists {
                // Another worker was faster.
            }
        }
        guard let found = try find(named: wanted.name, in: wanted.workspaceID, on: connection) else {
            throw ScheduleRefusal.notFound(wanted.name)
        }
        return try !change(found.id, wanted.changes, by: writer, on: connection).columns.isEmpty
    }

    /// Its jobs stay.
    /// - Throws: `ScheduleRefusal.notFound`, `PostgresError`.
    @discardableResult
    package static func remove(
        _ id: UUID, by writer: Writer, on connection: isolated Connection
    ) throws -> Schedule {
        let rows = try connection.execute(
            """
            /* jobworker:schedules.remove */
            DELETE FROM public.job_schedules WHERE id = \(id) RETURNING \(sql: Schedule.columns)
            """)
        guard let row = rows.first else { throw ScheduleRefusal.notFound(id.text) }
        let schedule = try Schedule(row)
        return schedule
    }

    /// Relies on the unique key of workspace and name.
    package static func find(
        named name: String, in workspace: UUID, on connection: isolated Connection
    ) throws -> Schedule? {
        try connection.execute(
            """
            /* jobworker:schedules.find */
            SELECT \(sql: Schedule.columns) FROM public.job_schedules
            WHERE workspace_id = \(workspace) AND name = \(name)
            """
        ).first.map(Schedule.init)
    }

    // MARK: Parts

    /// A schedule after its changes.
    private struct Merged {
        var jobType: String
        var queue: String
        var priority: Int
        var maxAttempts: Int
        var timeoutSeconds: Int?
        var pace: ScheduleChanges.Pace
        var timeZone: String
        var overlap: Schedule.Overlap
        var catchUp: Schedule.CatchUp
        var isEnabled: Bool

        init(_ old: Schedule, _ changes: ScheduleChanges) {
            jobType = changes.jobType ?? old.jobType
            queue = changes.queue ?? old.queue
            priority = changes.priority ?? old.priority
            maxAttempts = changes.maxAttempts ?? old.maxAttempts
            timeoutSeconds = changes.timeoutSeconds ?? old.timeoutSeconds
            pace = changes.pace ?? old.pace
            timeZone = changes.timeZone ?? old.timeZone
            overlap = changes.overlap ?? old.overlap
            catchUp = changes.catchUp ?? old.catchUp
            isEnabled = changes.isEnabled ?? old.isEnabled
        }

        /// The columns that have other values than before. The database compares payloads: their spelling says nothing.
        func differences(
            from old: Schedule, payload: JSONText?, _ connection: isolated Connection
        ) throws -> [String] {
            var columns: [String] = []
            if let payload {
                let rows = try connection.execute(
                    """
                    /* jobworker:schedules.compare */
                    SELECT \(payload)::jsonb IS DISTINCT FROM \(old.payload)::jsonb AS differs
                    """)
                if try rows.first?.decode("differs") ?? true { columns.append("payload") }
            }
            let pairs: [(String, Bool)] = [
                ("job_type", jobType == old.jobType), ("job_queue", queue == old.queue),
                ("priority", priority == old.priority), ("max_attempts", maxAttempts == old.maxAttempts),
                ("timeout_seconds", timeoutSeconds == old.timeoutSeconds), ("cron", pace.cron == old.cron),
                ("every_seconds", pace.everySeconds == old.everySeconds), ("timezone", timeZone == old.timeZone),
                ("overlap", overlap == old.overlap), ("catch_up", catchUp == old.catchUp),
                ("enabled", isEnabled == old.isEnabled),
            ]
            return columns + pairs.filter { !$0.1 }.map(\.0)
        }
    }

    private static func now(_ connection: isolated Connection) throws -> Timestamp {
        let rows = try connection.execute("/* jobworker:schedules.clock */ SELECT clock_timestamp() AS now")
        guard let row = rows.first else {
            throw PostgresError(
                .malformed, operation: "jobworker:schedules.clock", message: "the statement gave no row")
        }
        return try row.decode("now")
    }

    private static func next(
        _ pace: ScheduleChanges.Pace, _ timeZone: String, after now: Timestamp
    ) throws(ScheduleRefusal) -> Timestamp? {
        do throws(CronError) {
            let recurrence = try Recurrence(cron: pace.cron, everySeconds: pace.everySeconds, timeZone: timeZone)
            return recurrence.next(after: Int(now.microseconds)).map { Timestamp(microseconds: Int64($0)) }
        } catch {
            throw .invalid(error.description)
        }
    }
}

extension Schedule {
    var pace: ScheduleChanges.Pace { cron.map { .cron($0) } ?? .every(everySeconds ?? 1) }
}

extension ScheduleChanges.Pace {
    var cron: String? { if case .cron(let text) = self { text } else { nil } }
    var everySeconds: Int? { if case .every(let seconds) = self { seconds } else { nil } }
}
