import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// What is kept of the past: jobs set aside, and who did what. For admins of the workspace and operators.
struct RecordRoutes: Sendable {
    private let database: APIDatabase

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        let workspace = Parameter("workspace_id", Schema(.uuid), "Of this workspace.")
        return [
            Route(
                .get, "/api/dead-letter", access: .members,
                "Lists failed jobs and those set aside, the latest failure first.",
                parameters: [
                    workspace, Parameter("job_type", .jobType, "Of one of these types.", isList: true),
                    Parameter("group", .errorGroup, "With errors of this group."), .limit, .jobCursor,
                ],
                answers: [
                    Answer(
                        "The jobs.",
                        Schema(
                            .object(
                                [
                                    .init("jobs", Schema(.list(.job, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], handler: deadLetters),
            Route(
                .get, "/api/dead-letter/groups", access: .members,
                "Groups failed jobs and those set aside by type and error.",
                details: """
                    Numbers, ids, hosts and what stands in quotes count as the same in an error. `error` is `pattern`, \
                    under an earlier name.
                    """,
                parameters: [workspace],
                answers: [
                    Answer(
                        "The groups, the largest first.",
                        Schema(
                            .object(
                                [.init("groups", Schema(.list(Self.group, 0...200)), isRequired: true)], isOpen: true))
                    )
                ], handler: groups),
            Route(
                .get, "/api/dead-letter/{id}", access: .members, "Shows a failed job or one set aside.",
                answers: [Answer("The job.", .job)], refusals: [.notFound], handler: deadLetter),
            Route(
                .post, "/api/dead-letter/{id}", access: .members, "Tries it again. For admins.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("The job as it is now.", .job)], refusals: [.forbidden, .notFound, .conflict],
                audit: ["job.retry"], handler: retry),
            Route(
                .delete, "/api/dead-letter/{id}", access: .members, "Discards it. For admins.",
                parameters: [.reason],
                answers: [
                    Answer(
                        "It is gone.",
                        Schema(.object([.init("success", Schema(.boolean), isRequired: true)], isOpen: true)))
                ], refusals: [.forbidden, .notFound, .conflict], audit: ["job.delete", "dead_letter.change"],
                handler: discard),
            Route(
                .get, "/api/audit", access: .members, "Lists who did what, the latest first.",
                details: """
                    Every change by a person: through this interface, by a command, or by SQL as a member. `before` and \
                    `after` hold the fields that changed; secrets and payloads are not kept. Admins see their \
                    workspace's.
                    """,
                parameters: [
                    workspace, Parameter("job_id", Schema(.uuid), "What was done to this job."),
                    Parameter(
                        "actor", Schema(.text(1...200, isOneLine: true)),
                        "By this one: `user:<id>`, `operator:<name>`, `role:<name>`."),
                    Parameter(
                        "action", Schema(.text(1...100, isOneLine: true)), "One of these actions, as `job.cancel`.",
                        isList: true),
                    Parameter("via", Schema(.choice(["api", "cli", "dashboard", "sql", "worker"])), "Done this way."),
                    Parameter("since", Schema(.moment), "Not before this time."),
                    Parameter("until", Schema(.moment), "Before this time."), .limit,
                    .cursor(
                        "^(0|[1-9][0-9]{0,17})$",
                        takes: { $0.utf8.count <= 18 && Int($0).map(String.init) == $0 && !$0.hasPrefix("-") }),
                ],
                answers: [
                    Answer(
                        "The entries.",
                        Schema(
                            .object(
                                [
                                    .init("entries", Schema(.list(Self.entry, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], handler: audit),
        ]
    }

    private static let group = Schema(
        .object(
            [
                .init(
                    "id",
                    Schema(.text(12...12, isOneLine: true), note: "For `group`; null for what failed in earlier times.")
                        .orNull,
                    isRequired: true),
                .init("job_type", JobDocument.word, isRequired: true),
                .init("pattern", JobDocument.prose, isRequired: true),
                .init("error", JobDocument.prose.orNull, isRequired: true),
                .init("dead_letters", JobDocument.whole, isRequired: true),
                .init("count", JobDocument.whole, isRequired: true),
                .init("workspaces", JobDocument.whole, isRequired: true),
                .init("first_failed_at", Schema(.moment).orNull, isRequired: true),
                .init("last_failed_at", Schema(.moment).orNull, isRequired: true),
                .init("example_id", Schema(.uuid), isRequired: true),
            ], isOpen: true))

    private static let entry = Schema(
        .object(
            [
                .init("id", JobDocument.whole, isRequired: true),
                .init("created_at", Schema(.moment), isRequired: true),
                .init("workspace_id", Schema(.uuid).orNull, isRequired: true),
                .init("job_id", Schema(.uuid).orNull, isRequired: true),
                .init("actor", JobDocument.prose, isRequired: true), .init("via", JobDocument.word, isRequired: true),
                .init("action", JobDocument.word, isRequired: true),
                .init("subject", JobDocument.prose.orNull, isRequired: true),
                .init("reason", JobDocument.prose.orNull, isRequired: true),
                .init(
                    "before",
                    Schema(.anything, note: "The fields that changed, as they were; null where it was added."),
                    isRequired: true),
                .init(
                    "after", Schema(.anything, note: "The same as they are now; null where it is gone."),
                    isRequired: true),
                .init("details", Schema(.anything), isRequired: true),
            ], isOpen: true))

    private static let isDead: Fragment = "jobs.status IN ('failed', 'dead_letter')"

    private func deadLetters(_ request: APIRequest) async throws -> Response {
        let limit = try request.number("limit", in: 1...200) ?? 20
        let workspaceID = try request.uuid("workspace_id")
        let types = try request.list("job_type")
        let group = try request.text("group")
        let cursor = try request.text("cursor").flatMap { JobCursor(text: $0) }
        let place: Fragment =
            cursor.map {
                "(coalesce(jobs.failed_at, '-infinity'), jobs.id) < (\($0.createdAt ?? .distantPast), \($0.id))"
            } ?? "true"
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.dead_letter.list */
                SELECT row_to_json(shown)::text AS row, shown.id, shown.failed_at
                FROM (SELECT \(sql: JobDocument.columns(valueBytesMax: JobDocument.listedBytesMax))
                      FROM public.jobs
                      WHERE \(Self.isDead) AND (\(workspaceID) IS NULL OR jobs.workspace_id = \(workspaceID))
                        AND (\(types.isEmpty) OR jobs.job_type = ANY (\(types)))
                        AND (\(group) IS NULL OR jobs.error_group = \(group)) AND \(place)
                      ORDER BY coalesce(jobs.failed_at, '-infinity') DESC, jobs.id DESC LIMIT \(limit + 1)) AS shown
                ORDER BY coalesce(shown.failed_at, '-infinity') DESC, shown.id DESC
                """)
            var texts = try rows.json()
            var next = "null"
            if rows.count > limit {
                texts.removeLast()
                let last = rows[limit - 1]
                let cursor = JobCursor(createdAt: try last.decodeIfPresent("failed_at"), id: try last.decode("id"))
                next = "\"\(cursor.text)\""
            }
            return Reply(#"{"jobs":[\#(texts.joined(separator: ","))],"next_cursor":\#(next)}"#).response
        }
    }

    private func groups(_ request: APIRequest) async throws -> Response {
        let workspaceID = try request.uuid("workspace_id")
        return try await database.read(request) { connection in
            var filter = JobFilter()
            filter.workspaceID = workspaceID
            filter.statuses = [.failed, .deadLetter]
            let rows = try connection.execute(
                """
                /* jobworker:api.dead_letter.groups */
                SELECT (to_jsonb(counted) || jsonb_build_object('error', counted.pattern))::text AS row
                FROM (\(JobStore.errorGroups(filter, limit: 200))) AS counted
                ORDER BY counted.count DESC, counted.job_type, counted.pattern
                """)
            return Reply(#"{"groups":[\#(try rows.json().joined(separator: ","))]}"#).response
        }
    }

    private func deadLetter(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.read(request) { connection in
            Reply(try Self.dead(id, connection)).response
        }
    }

    /// A job that is dead, as JSON.
    private static func dead(_ id: UUID, _ connection: isolated Connection) throws -> String {
        let rows = try connection.execute(
            """
            /* jobworker:api.dead_letter.show */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: JobDocument.columns()) FROM public.jobs WHERE jobs.id = \(id) AND \(isDead)) AS shown
            """)
        guard let text = try rows.json().first else { throw APIError.missing }
        return text
    }

    private static func requireAdmin(of id: UUID, _ caller: Caller, _ connection: isolated Connection) throws {
        _ = try dead(id, connection)
        guard case .member = caller else { return }
        let rows = try connection.execute(
            """
            /* jobworker:api.dead_letter.rights */
            SELECT FROM public.jobs WHERE id = \(id) AND jobworker.is_admin(workspace_id)
            """)
        guard !rows.isEmpty else { throw APIError.adminsOnly }
    }

    private func retry(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "dead_letter.retry") { connection in
            try Self.requireAdmin(of: id, request.caller, connection)
            return Reply(try JobRoutes.changed("jobworker.retry_job(\(id))", connection))
        }
    }

    private func discard(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "dead_letter.discard") { connection in
            try Self.requireAdmin(of: id, request.caller, connection)
            try connection.execute("/* jobworker:api.dead_letter.discard */ SELECT FROM jobworker.delete_job(\(id))")
            return Reply(#"{"success":true}"#)
        }
    }

    private func audit(_ request: APIRequest) async throws -> Response {
        let limit = try request.number("limit", in: 1...200) ?? 20
        var filter = AuditFilter()
        filter.workspaceID = try request.uuid("workspace_id")
        filter.jobID = try request.uuid("job_id")
        filter.actor = try request.text("actor")
        filter.actions = try request.list("action")
        filter.via = try request.text("via")
        filter.since = try request.text("since").flatMap { Timestamp(text: $0) }
        filter.until = try request.text("until").flatMap { Timestamp(text: $0) }
        let condition = filter.condition
        let cursor = try request.text("cursor").flatMap { Int($0) }
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.audit.list */
                SELECT row_to_json(shown)::text AS row, shown.id
                FROM (SELECT \(sql: AuditEntry.columns) FROM public.job_audit
                      WHERE \(condition) AND (\(cursor) IS NULL OR id < \(cursor))
                      ORDER BY id DESC LIMIT \(limit + 1)) AS shown
                ORDER BY shown.id DESC
                """)
            var texts = try rows.json()
            var next = "null"
            if rows.count > limit {
                texts.removeLast()
                next = "\"\(try rows[limit - 1].decode("id", as: Int.self))\""
            }
            return Reply(#"{"entries":[\#(texts.joined(separator: ","))],"next_cursor":\#(next)}"#).response
        }
    }
}

extension Schema {
    /// As `/api/dead-letter/groups` gives it.
    static let errorGroup = Schema(.text(12...12, isOneLine: true))
}
