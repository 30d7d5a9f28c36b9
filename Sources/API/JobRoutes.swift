import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// Jobs: listed, shown, cancelled, tried again, moved, deleted.
struct JobRoutes: Sendable {
    private let database: APIDatabase

    private static let listedDefault = 20
    private static let logsShownMax = 1000

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        [
            Route(
                .get, "/api/jobs", access: .members, "Lists jobs, newest first.",
                details: """
                    A page of a list that grows: `next_cursor` leads to the next one, whatever is added meanwhile. With \
                    `page` the answer tells `pagination` instead, counted at that moment. Values of more than 16 kB are \
                    left out, see `omitted`.
                    """,
                parameters: JobSelection.parameters + [
                    .limit, .jobCursor,
                    Parameter(
                        "page", Schema(.whole(1...10_000)),
                        "A page by its number, from 1; not looked at beside a cursor."),
                ],
                answers: [
                    Answer(
                        "The jobs.",
                        Schema(
                            .object(
                                [
                                    .init("jobs", Schema(.list(.job, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                    .init("pagination", Self.pagination),
                                ], isOpen: true)))
                ], handler: list),
            Route(
                .get, "/api/jobs/{id}", access: .members, "Shows a job with the end of its log.",
                answers: [
                    Answer(
                        "The job, and its last \(Self.logsShownMax) log rows, oldest first.",
                        Schema(
                            .object(
                                [
                                    .init("job", .job, isRequired: true),
                                    .init("logs", Schema(.list(JobLogDocument.schema, 0...1000)), isRequired: true),
                                ], isOpen: true)))
                ], refusals: [.notFound], handler: show),
            Route(
                .get, "/api/jobs/{id}/logs", access: .members, "Lists the log of a job, oldest row first.",
                parameters: [
                    Parameter(
                        "level", Schema(.choice(["debug", "info", "warn", "error"])), "Rows of this level and above."),
                    Parameter("limit", Schema(.whole(1...1000)), "Most rows of a page; 200 unless told."),
                    JobLogDocument.parameter,
                ],
                answers: [
                    Answer(
                        "The rows.",
                        Schema(
                            .object(
                                [
                                    .init("logs", Schema(.list(JobLogDocument.schema, 0...1000)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], refusals: [.notFound], handler: logs),
            Route(
                .patch, "/api/jobs/{id}", access: .members,
                "Cancels a job, or moves a waiting one in time or priority.",
                details: """
                    Any member may cancel and choose the time; the priority is an admin's to change. A cancel reaches a \
                    running job within a second.
                    """,
                body: Self.patch, answers: [Answer("The job as it is now.", .job)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["job.cancel", "job.reschedule"],
                handler: change),
            Route(
                .post, "/api/jobs/{id}/cancel", access: .members, "Cancels a job that waits or runs.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("The job as it is now.", .job)], refusals: [.forbidden, .notFound, .conflict],
                audit: ["job.cancel"],
                handler: { request in try await call("cancel_job", "cancel", request) }),
            Route(
                .post, "/api/jobs/{id}/retry", access: .members,
                "Makes a failed, set-aside, cancelled or waiting job due now.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("The job as it is now.", .job)], refusals: [.forbidden, .notFound, .conflict],
                audit: ["job.retry"], handler: { request in try await call("retry_job", "retry", request) }),
            Route(
                .delete, "/api/jobs/{id}", access: .members, "Deletes a finished job with its log. For admins.",
                parameters: [.reason],
                answers: [
                    Answer(
                        "It is gone.",
                        Schema(.object([.init("success", Schema(.boolean), isRequired: true)], isOpen: true)))
                ], refusals: [.forbidden, .notFound, .conflict], audit: ["job.delete", "dead_letter.change"],
                handler: delete),
        ]
    }

    private static let pagination = Schema(
        .object(
            ["page", "limit", "total", "total_pages"].map { .init($0, JobDocument.whole, isRequired: true) }
                + ["has_next", "has_prev"].map { .init($0, Schema(.boolean), isRequired: true) }, isOpen: true))

    private static let patch = Schema(
        .byMember(
            "status",
            Schema(
                .object([.init("status", Schema(.choice(["cancelled"])), isRequired: true), .reason], isOpen: false)),
            Schema(
                .object(
                    [
                        .init("priority", Schema(.whole(-10...10))),
                        .init("scheduled_for", Schema(.moment, note: "null: as soon as possible.").orNull),
                        .reason,
                    ], isOpen: false))))

    // MARK: Looking

    private func list(_ request: APIRequest) async throws -> Response {
        let filter = try JobSelection.filter(request)
        let limit = try request.number("limit", in: 1...200) ?? Self.listedDefault
        let cursor = try request.text("cursor").flatMap { JobCursor(text: $0) }
        let page = cursor == nil ? try request.number("page", in: 1...10_000) : nil
        let offset = ((page ?? 1) - 1) * limit
        let scope: JobScope = if case .member = request.caller { .memberships } else { .everything }
        return try await database.read(request) { connection in
            try connection.execute(JobStore.listPlanning(of: filter, in: scope))
            let rows = try connection.execute(
                """
                /* jobworker:api.jobs.list */
                SELECT row_to_json(listed)::text AS row, listed.id, listed.created_at
                FROM (SELECT \(sql: JobDocument.columns(valueBytesMax: JobDocument.listedBytesMax))
                      \(JobStore.newest(filter, after: cursor, limit: limit + 1, skipping: offset, in: scope))) AS listed
                ORDER BY listed.created_at DESC, listed.id DESC
                """)
            let hasMore = rows.count > limit
            var texts = try rows.json()
            var next = "null"
            if hasMore {
                texts.removeLast()
                let last = rows[limit - 1]
                let cursor = JobCursor(createdAt: try last.decodeIfPresent("created_at"), id: try last.decode("id"))
                next = "\"\(cursor.text)\""
            }
            var document = #"{"jobs":[\#(texts.joined(separator: ","))],"next_cursor":\#(next)"#
            if let page {
                let counted = try connection.execute(
                    "/* jobworker:api.jobs.count */ SELECT count(*) AS count FROM public.jobs WHERE \(filter.condition)"
                )
                let total: Int = try counted.first?.decode("count") ?? 0
                let pages = (total + limit - 1) / limit
                document += """
                    ,"pagination":{"page":\(page),"limit":\(limit),"total":\(total),"total_pages":\(pages),\
                    "has_next":\(page < pages),"has_prev":\(page > 1)}
                    """
            }
            return Reply(document + "}").response
        }
    }

    private func show(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.read(request) { connection in
            guard let job = try Self.job(id, connection) else { throw APIError.missing }
            let logs = try connection.execute(
                """
                /* jobworker:api.jobs.last_logs */
                SELECT row_to_json(shown)::text AS row
                FROM (SELECT \(sql: JobLogDocument.columns) FROM public.job_logs WHERE job_id = \(id)
                      ORDER BY created_at DESC, seq DESC LIMIT \(Self.logsShownMax)) AS shown
                ORDER BY shown.created_at, shown.seq
                """)
            return Reply(#"{"job":\#(job),"logs":[\#(try logs.json().joined(separator: ","))]}"#).response
        }
    }

    private func logs(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        let limit = try request.number("limit", in: 1...1000) ?? 200
        let level = try request.text("level").flatMap { JobLogLevel(rawValue: $0) } ?? .debug
        let levels = JobLogLevel.allCases.filter { $0 >= level }.flatMap {
            $0 == .warn ? ["warn", "warning"] : [$0.rawValue]
        }
        let cursor = try request.text("cursor").flatMap { JobLogDocument.cursor($0) }
        let place: Fragment = cursor.map { "(created_at, seq) > (\($0.createdAt), \($0.seq))" } ?? "true"
        return try await database.read(request) { connection in
            guard try Self.exists(id, connection) else { throw APIError.missing }
            let rows = try connection.execute(
                """
                /* jobworker:api.jobs.logs */
                SELECT row_to_json(shown)::text AS row, shown.created_at, shown.seq
                FROM (SELECT \(sql: JobLogDocument.columns) FROM public.job_logs
                      WHERE job_id = \(id) AND (\(level == .debug) OR log_level = ANY (\(levels))) AND \(place)
                      ORDER BY created_at, seq LIMIT \(limit + 1)) AS shown
                ORDER BY shown.created_at, shown.seq
                """)
            var texts = try rows.json()
            var next = "null"
            if rows.count > limit {
                texts.removeLast()
                let last = rows[limit - 1]
                let cursor = JobLogCursor(
                    createdAt: try last.decodeIfPresent("created_at") ?? .distantPast, seq: try last.decode("seq"))
                next = "\"\(JobLogDocument.text(cursor))\""
            }
            return Reply(#"{"logs":[\#(texts.joined(separator: ","))],"next_cursor":\#(next)}"#).response
        }
    }

    private static func exists(_ id: UUID, _ connection: isolated Connection) throws -> Bool {
        try !connection.execute("/* jobworker:api.jobs.exists */ SELECT FROM public.jobs WHERE id = \(id)").isEmpty
    }

    /// A job as JSON; `nil` where there is none for the caller.
    static func job(_ id: UUID, _ connection: isolated Connection) throws -> String? {
        try connection.execute(
            """
            /* jobworker:api.jobs.show */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: JobDocument.columns()) FROM public.jobs WHERE jobs.id = \(id)) AS shown
            """
        ).json().first
    }

    // MARK: Changing

    private func change(_ request: APIRequest) async throws -> Response {
        guard let document = request.document else { throw APIError.invalidParameter("the body", "is missing") }
        if document["status"] != nil { return try await call("cancel_job", "cancel", request) }
        let id = try request.id()
        let changes = JSONText(document.text)
        return try await database.change(request, of: "reschedule") { connection in
            Reply(try Self.changed("jobworker.reschedule_job(\(id), \(changes))", connection))
        }
    }

    /// Calls one of the database's functions that change a job and return it.
    private func call(_ function: String, _ name: String, _ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: name) { connection in
            switch function {
            case "retry_job": Reply(try Self.changed("jobworker.retry_job(\(id))", connection))
            default: Reply(try Self.changed("jobworker.cancel_job(\(id))", connection))
            }
        }
    }

    /// - Returns: The job as JSON.
    static func changed(_ call: Fragment, _ connection: isolated Connection) throws -> String {
        let rows = try connection.execute(
            """
            /* jobworker:api.jobs.change */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: JobDocument.columns()) FROM \(call) AS jobs) AS shown
            """)
        guard let text = try rows.json().first else { throw APIError.missing }
        return text
    }

    private func delete(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "delete") { connection in
            try connection.execute("/* jobworker:api.jobs.delete */ SELECT FROM jobworker.delete_job(\(id))")
            return Reply(#"{"success":true}"#)
        }
    }
}
