import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres
import Tokens

/// Recurring jobs: any member sees them, admins arrange them.
struct ScheduleRoutes: Sendable {
    private let database: APIDatabase

    private static let listedDefault = 20
    private static let nextRunsShown = 5

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        [
            Route(
                .get, "/api/schedules", access: .members, "Lists schedules, newest first.",
                parameters: [Parameter("workspace_id", Schema(.uuid), "Of this workspace."), .limit, .jobCursor],
                answers: [
                    Answer(
                        "The schedules.",
                        Schema(
                            .object(
                                [
                                    .init("schedules", Schema(.list(Self.schedule, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], handler: list),
            Route(
                .post, "/api/schedules", access: .members, "Adds a schedule. For admins.",
                details: """
                    It recurs by `cron` or every so many seconds. Cron expressions have five fields (minute, hour, day of \
                    month, month, day of week) with names, lists, ranges, steps and `L`, or are `@daily` and the like, \
                    and go by the wall clock of `timezone`.
                    """,
                parameters: [.idempotencyKey], body: Self.draft(isNew: true),
                answers: [Answer("The schedule.", Self.schedule, status: .created)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["schedule.add"], handler: add),
            Route(
                .get, "/api/schedules/{id}", access: .members, "Shows a schedule.",
                answers: [Answer("The schedule.", Self.schedule)], refusals: [.notFound], handler: show),
            Route(
                .patch, "/api/schedules/{id}", access: .members, "Changes a schedule. For admins.",
                details: "What isn't given stays. `cron` replaces `every_seconds` and the other way round.",
                body: Self.draft(isNew: false), answers: [Answer("The schedule.", Self.schedule)],
                refusals: [.forbidden, .notFound], audit: ["schedule.change"], handler: change),
            Route(
                .delete, "/api/schedules/{id}", access: .members, "Removes a schedule; its jobs stay. For admins.",
                parameters: [.reason],
                answers: [
                    Answer(
                        "It is gone.",
                        Schema(.object([.init("success", Schema(.boolean), isRequired: true)], isOpen: true)))
                ], refusals: [.forbidden, .notFound], audit: ["schedule.delete"], handler: remove),
            Route(
                .post, "/api/schedules/{id}/run", access: .members,
                "Adds a job like those of the schedule, due now. For admins.",
                details: "Also while the schedule is paused, or an earlier job of it runs.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("The job.", .job, status: .created)], refusals: [.forbidden, .notFound],
                audit: ["schedule.run"], handler: run),
            Route(
                .post, "/api/schedules/{id}/pause", access: .members,
                "Keeps a schedule from making jobs. For admins.", parameters: [.idempotencyKey], body: .reasonAlone,
                isBodyRequired: false, answers: [Answer("The schedule.", Self.schedule)],
                refusals: [.forbidden, .notFound], audit: ["schedule.change"],
                handler: { try await enable($0, false) }),
            Route(
                .post, "/api/schedules/{id}/resume", access: .members,
                "Lets a schedule make jobs again, from now on. For admins.", parameters: [.idempotencyKey],
                body: .reasonAlone,
                isBodyRequired: false, answers: [Answer("The schedule.", Self.schedule)],
                refusals: [.forbidden, .notFound], audit: ["schedule.change"],
                handler: { try await enable($0, true) }),
        ]
    }

    // MARK: Forms

    private static let overlap = Schema(.choice(Schedule.Overlap.allCases.map(\.rawValue)))
    private static let catchUp = Schema(.choice(Schedule.CatchUp.allCases.map(\.rawValue)))

    private static func draft(isNew: Bool) -> Schema {
        Schema(
            .object(
                (isNew
                    ? [
                        .init("workspace_id", Schema(.uuid), isRequired: true),
                        .init(
                            "name", Schema(.text(1...200, isOneLine: true), note: "One of a kind in its workspace."),
                            isRequired: true),
                    ] : []) + [
                        .init("job_type", .jobType, isRequired: isNew),
                        .init("payload", Schema(.anything, note: "What the jobs get; at most 64 kB, {} unless given.")),
                        .init("job_queue", .jobQueue), .init("priority", .priority),
                        .init("max_attempts", Schema(.whole(1...10))),
                        .init("timeout_seconds", Schema(.whole(1...2_592_000), note: "For each attempt.").orNull),
                        .init("cron", Schema(.text(1...200, isOneLine: true)).orNull),
                        .init("every_seconds", Schema(.whole(1...ScheduleChanges.everySecondsMax)).orNull),
                        .init(
                            "timezone", Schema(.text(1...64, isOneLine: true), note: "An IANA name; UTC unless given.")),
                        .init(
                            "overlap",
                            overlap.noted("What a tick does while an earlier job hasn't ended; skip unless given.")),
                        .init("catch_up", catchUp.noted("Which missed ticks are made up for; one unless given.")),
                        .init("enabled", Schema(.boolean)), .reason,
                    ], isOpen: false))
    }

    private static let schedule = Schema(
        .object(
            [
                .init("id", Schema(.uuid), isRequired: true), .init("workspace_id", Schema(.uuid), isRequired: true),
                .init("name", JobDocument.prose, isRequired: true),
                .init("job_type", JobDocument.word, isRequired: true),
                .init("payload", Schema(.anything), isRequired: true),
                .init("job_queue", JobDocument.word, isRequired: true),
                .init("priority", JobDocument.whole, isRequired: true),
                .init("max_attempts", JobDocument.whole, isRequired: true),
                .init("timeout_seconds", JobDocument.whole.orNull, isRequired: true),
                .init("cron", JobDocument.prose.orNull, isRequired: true),
                .init("every_seconds", JobDocument.whole.orNull, isRequired: true),
                .init("timezone", JobDocument.prose, isRequired: true), .init("overlap", overlap, isRequired: true),
                .init("catch_up", catchUp, isRequired: true), .init("enabled", Schema(.boolean), isRequired: true),
                .init(
                    "next_run_at", Schema(.moment, note: "null: paused, or see last_error.").orNull, isRequired: true),
                .init(
                    "last_run_at", Schema(.moment, note: "The latest tick that made a job.").orNull, isRequired: true),
                .init("last_skipped_at", Schema(.moment).orNull, isRequired: true),
                .init("last_error", JobDocument.prose.orNull, isRequired: true),
                .init("created_by", Schema(.uuid).orNull, isRequired: true),
                .init("created_at", Schema(.moment), isRequired: true),
                .init("updated_at", Schema(.moment), isRequired: true),
                .init(
                    "next_runs", Schema(.list(Schema(.moment), 0...nextRunsShown), note: "The next ticks."),
                    isRequired: true),
            ], isOpen: true))

    private static func changes(_ document: JSONNode) throws(APIError) -> ScheduleChanges {
        var changes = ScheduleChanges()
        changes.jobType = document["job_type"]?.string
        changes.payload = document["payload"].map { JSONText($0.text) }
        changes.queue = document["job_queue"]?.string
        changes.priority = document["priority"].flatMap {
            $0.whole ?? $0.string.flatMap { Priority(text: $0)?.rawValue }
        }
        changes.maxAttempts = document["max_attempts"]?.whole
        changes.timeoutSeconds = document["timeout_seconds"].map(\.whole)
        switch (document["cron"]?.string, document["every_seconds"]?.whole) {
        case (nil, nil): break
        case (let cron?, nil): changes.pace = .cron(cron)
        case (nil, let seconds?): changes.pace = .every(seconds)
        default:
            throw APIError(
                .unprocessableContent, code: "invalid_schedule", "cron and every_seconds exclude each other.")
        }
        changes.timeZone = document["timezone"]?.string
        changes.overlap = document["overlap"]?.string.flatMap { Schedule.Overlap(rawValue: $0) }
        changes.catchUp = document["catch_up"]?.string.flatMap { Schedule.CatchUp(rawValue: $0) }
        changes.isEnabled = document["enabled"].map { $0 == true }
        return changes
    }

    // MARK: Looking

    /// What a statement selects from a row of `job_schedules`, for the document beside the next ticks.
    private static let columns = """
        id, workspace_id, name, job_type, payload, job_queue, priority, max_attempts, timeout_seconds, cron, every_seconds, \
        timezone, overlap, catch_up, enabled, next_run_at, last_run_at, last_skipped_at, last_error, created_by, \
        created_at, updated_at
        """

    private func list(_ request: APIRequest) async throws -> Response {
        let limit = try request.number("limit", in: 1...200) ?? Self.listedDefault
        let workspaceID = try request.uuid("workspace_id")
        let cursor = try request.text("cursor").flatMap { JobCursor(text: $0) }
        let place: Fragment =
            cursor.map { "(created_at, id) < (\($0.createdAt ?? .distantPast), \($0.id))" } ?? "true"
        return try await database.read(request) { connection in
            let rows = try Self.rows(
                """
                WHERE (\(workspaceID) IS NULL OR workspace_id = \(workspaceID)) AND \(place)
                ORDER BY created_at DESC, id DESC LIMIT \(limit + 1)
                """, connection)
            var next = "null"
            if rows.count > limit {
                let last = rows[limit - 1].schedule
                next = "\"\(JobCursor(createdAt: last.createdAt, id: last.id).text)\""
            }
            let texts = rows.prefix(limit).map(\.text).joined(separator: ",")
            return Reply(#"{"schedules":[\#(texts)],"next_cursor":\#(next)}"#).response
        }
    }

    private static func rows(
        _ condition: Fragment, _ connection: isolated Connection
    ) throws -> [(schedule: Schedule, text: String)] {
        try connection.execute(
            """
            /* jobworker:api.schedules */
            SELECT *, clock_timestamp() AS as_of, (SELECT row_to_json(shown)::text FROM (SELECT \(sql: columns)) AS shown) AS row
            FROM public.job_schedules \(condition)
            """
        ).map { row in
            let schedule = try Schedule(row)
            let ticks = schedule.upcoming(nextRunsShown).map { "\"\($0.text(fractionDigits: 3))\"" }
            let text: String = try row.decode("row")
            return (schedule, text.dropLast() + #","next_runs":[\#(ticks.joined(separator: ","))]}"#)
        }
    }

    private static func text(_ id: UUID, _ connection: isolated Connection) throws -> String {
        guard let row = try rows("WHERE id = \(id)", connection).first else { throw APIError.missing }
        return row.text
    }

    private func show(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.read(request) { connection in Reply(try Self.text(id, connection)).response }
    }

    // MARK: Changing

    private static func writer(_ caller: Caller) -> ScheduleTable.Writer {
        if case .member(let member) = caller { .member(member.userID) } else { .program }
    }

    /// - Throws: `APIError`: 404 for somebody who may not know of the workspace, 403 for who is no admin of it.
    private static func requireAdmin(
        of workspace: UUID, _ caller: Caller, _ connection: isolated Connection
    ) throws {
        let question: Statement =
            if case .member = caller {
                """
                /* jobworker:api.schedules.rights */
                SELECT jobworker.is_member(\(workspace)) AS knows, jobworker.is_admin(\(workspace)) AS rules
                """
            } else {
                """
                /* jobworker:api.schedules.workspace */
                SELECT count(*) > 0 AS knows, true AS rules FROM public.workspaces WHERE id = \(workspace)
                """
            }
        guard let row = try connection.execute(question).first, try row.decode("knows") else { throw APIError.missing }
        if try !row.decode("rules", as: Bool.self) { throw APIError.adminsOnly }
    }

    /// The same by a schedule.
    private static func requireAdmin(
        ofSchedule id: UUID, _ caller: Caller, _ connection: isolated Connection
    ) throws {
        let rows = try connection.execute(
            """
            /* jobworker:api.schedules.owner */
            SELECT workspace_id FROM public.job_schedules WHERE id = \(id)
            """)
        guard let row = rows.first else { throw APIError.missing }
        try requireAdmin(of: try row.decode("workspace_id"), caller, connection)
    }

    /// The refusals in the API's words.
    private static func translated<Value>(_ work: () throws -> Value) throws -> Value {
        do {
            return try work()
        } catch let refusal as ScheduleRefusal {
            switch refusal {
            case .invalid(let sentence):
                throw APIError(.unprocessableContent, code: "invalid_schedule", sentence.asSentence)
            case .notFound: throw APIError.missing
            case .exists: throw APIError(.conflict, code: "conflict", refusal.description.asSentence)
            }
        }
    }

    private func add(_ request: APIRequest) async throws -> Response {
        guard let document = request.document,
            let workspace = document["workspace_id"]?.string.flatMap({ UUID(uuidString: $0) }),
            let name = document["name"]?.string
        else { throw APIError.invalidParameter("the body", "names no workspace and name") }
        let changes = try Self.changes(document)
        return try await database.change(request, of: "schedules.add") { connection in
            try Self.requireAdmin(of: workspace, request.caller, connection)
            let schedule = try Self.translated {
                try ScheduleTable.add(
                    changes, named: name, in: workspace, by: Self.writer(request.caller), on: connection)
            }
            return Reply(try Self.text(schedule.id, connection), status: .created)
        }
    }

    private func change(_ request: APIRequest) async throws -> Response {
        guard let document = request.document else { throw APIError.invalidParameter("the body", "is missing") }
        return try await change(request, try Self.changes(document), of: "schedules.change")
    }

    private func enable(_ request: APIRequest, _ isEnabled: Bool) async throws -> Response {
        var changes = ScheduleChanges()
        changes.isEnabled = isEnabled
        return try await change(request, changes, of: isEnabled ? "schedules.resume" : "schedules.pause")
    }

    private func change(_ request: APIRequest, _ changes: ScheduleChanges, of route: String) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: route) { connection in
            try Self.requireAdmin(ofSchedule: id, request.caller, connection)
            _ = try Self.translated {
                try ScheduleTable.change(id, changes, by: Self.writer(request.caller), on: connection)
            }
            return Reply(try Self.text(id, connection))
        }
    }

    private func remove(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "schedules.remove") { connection in
            try Self.requireAdmin(ofSchedule: id, request.caller, connection)
            _ = try Self.translated {
                try ScheduleTable.remove(id, by: Self.writer(request.caller), on: connection)
            }
            return Reply(#"{"success":true}"#)
        }
    }

    private func run(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "schedules.run") { connection in
            Reply(try JobRoutes.changed("jobworker.run_schedule(\(id))", connection), status: .created)
        }
    }
}
