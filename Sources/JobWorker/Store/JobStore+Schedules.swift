package import FoundationEssentials
package import Postgres

/// All that a schedule is to be.
package struct NamedSchedule: Sendable, Hashable {
    package let workspaceID: UUID
    package let name: String
    package let changes: ScheduleChanges

    package init(workspaceID: UUID, name: String, changes: ScheduleChanges) {
        self.workspaceID = workspaceID
        self.name = name
        self.changes = changes
    }
}

/// Which one of several schedules can't be written, and why.
package struct NamedScheduleRefusal: Error, Sendable, Hashable {
    package let name: String
    package let sentence: String
}

extension JobStore {
    /// Most schedules that are listed.
    package static let schedulesListedMax = 10_000

    /// The schedules of a workspace, or of all, by workspace and name.
    package func schedules(in workspace: UUID? = nil) async throws(PostgresError) -> [Schedule] {
        let rows = try await pool.query(
            """
            /* jobworker:schedules.list */
            SELECT \(sql: Schedule.columns) FROM public.job_schedules
            WHERE \(workspace) IS NULL OR workspace_id = \(workspace)
            ORDER BY workspace_id, name LIMIT \(JobStore.schedulesListedMax)
            """)
        var schedules: [Schedule] = []
        for row in rows { schedules.append(try Schedule(row)) }
        return schedules
    }

    /// The schedules that somebody may mean: by id, or by name, in one workspace or in all.
    package func schedules(meant text: String, in workspace: UUID?) async throws(PostgresError) -> [Schedule] {
        let id = UUID(uuidString: text)
        let rows = try await pool.query(
            """
            /* jobworker:schedules.meant */
            SELECT \(sql: Schedule.columns) FROM public.job_schedules
            WHERE (id = \(id) OR name = \(text)) AND (\(workspace) IS NULL OR workspace_id = \(workspace))
            ORDER BY id = \(id) DESC NULLS LAST, workspace_id LIMIT 2
            """)
        var schedules: [Schedule] = []
        for row in rows { schedules.append(try Schedule(row)) }
        return schedules
    }

    /// - Throws: `ScheduleRefusal`, `PostgresError`.
    package func addSchedule(
        _ changes: ScheduleChanges, named name: String, in workspace: UUID, by requester: Requester
    ) async throws -> Schedule {
        try await writing(requester) { connection in
            try ScheduleTable.add(changes, named: name, in: workspace, by: .program, on: connection)
        }
    }

    /// - Throws: `ScheduleRefusal`, `PostgresError`.
    package func changeSchedule(
        _ id: UUID, _ changes: ScheduleChanges, by requester: Requester
    ) async throws -> (schedule: Schedule, columns: [String]) {
        try await writing(requester) { connection in
            try ScheduleTable.change(id, changes, by: .program, on: connection)
        }
    }

    /// - Throws: `ScheduleRefusal`, `PostgresError`.
    package func removeSchedule(_ id: UUID, by requester: Requester) async throws -> Schedule {
        try await writing(requester) { connection in
            try ScheduleTable.remove(id, by: .program, on: connection)
        }
    }

    /// A job like those of the schedule, due now.
    /// - Returns: Its id.
    /// - Throws: `ScheduleRefusal`, `PostgresError`.
    package func runSchedule(_ id: UUID, by requester: Requester) async throws -> UUID {
        do {
            return try await writing(requester) { connection in
                let rows = try connection.execute(
                    "/* jobworker:schedules.run */ SELECT id FROM jobworker.run_schedule(\(id))")
                guard let row = rows.first else { throw ScheduleRefusal.notFound(id.text) }
                return try row.decode("id")
            }
        } catch let error as PostgresError where error.sqlState == "P0002" {
            throw ScheduleRefusal.notFound(id.text)
        }
    }

    /// Adds what isn't there and changes what differs, all or nothing.
    /// - Returns: The names of those that were written.
    /// - Throws: `NamedScheduleRefusal`, also where somebody keeps a schedule locked; `PostgresError` where the database
    ///   is away.
    package func apply(_ schedules: [NamedSchedule], by requester: Requester) async throws -> [String] {
        try await pool.transaction { connection in
            try connection.execute(requester.statement)
            var written: [String] = []
            for schedule in schedules {
                do {
                    if try ScheduleTable.put(schedule, by: .program, on: connection) {
                        written.append(schedule.name)
                    }
                } catch let refusal as ScheduleRefusal {
                    throw NamedScheduleRefusal(name: schedule.name, sentence: refusal.description)
                } catch let error as PostgresError where ["55P03", "57014", "40P01"].contains(error.sqlState) {
                    // It may last: who waits for it would start no job meanwhile.
                    throw NamedScheduleRefusal(
                        name: schedule.name,
                        sentence: "somebody keeps it locked (\(error.message)): reload once it is free")
                } catch let error as PostgresError where !error.isTransient {
                    let sentence = error.sqlState == "23503" ? "there is no such workspace" : error.message
                    throw NamedScheduleRefusal(name: schedule.name, sentence: sentence)
                }
            }
            return written
        }
    }

    private func writing<Value: Sendable>(
        _ requester: Requester, _ body: @Sendable (isolated Connection) throws -> Value
    ) async throws -> Value {
        do {
            return try await pool.transaction { connection in
                try connection.execute(requester.statement)
                return try body(connection)
            }
        } catch let error as PostgresError where error.sqlState == "23503" {
            throw ScheduleRefusal.invalid("there is no such workspace")
        } catch let error as PostgresError where error.sqlState == "22023" {
            throw ScheduleRefusal.invalid(error.message)
        }
    }
}
