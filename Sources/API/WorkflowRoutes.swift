import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// Jobs that wait for each other. Any member of the workspace may add, cancel and retry them.
struct WorkflowRoutes: Sendable {
    private let database: APIDatabase

    private static let listedDefault = 20
    /// Most jobs of one request; the body's limit may come first.
    private static let jobsMax = 10_000

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        [
            Route(
                .get, "/api/workflows", access: .members, "Lists workflows, newest first.",
                parameters: [Parameter("workspace_id", Schema(.uuid), "Of this workspace."), .limit, .jobCursor],
                answers: [
                    Answer(
                        "The workflows.",
                        Schema(
                            .object(
                                [
                                    .init("workflows", Schema(.list(Self.summary, 0...200)), isRequired: true),
                                    .init("next_cursor", .nextCursor, isRequired: true),
                                ], isOpen: true)))
                ], handler: list),
            Route(
                .post, "/api/workflows", access: .members, "Adds jobs that wait for each other, all or none.",
                details: """
                    `after` names jobs of the same request, or by their ids any others of the workspace. A payload may hold \
                    `{"$result": "name.path"}`, which is replaced by that part of the result of a job in `after` when the \
                    job starts.
                    """,
                parameters: [.idempotencyKey],
                body: Schema(
                    .object(
                        [
                            .init("workspace_id", Schema(.uuid), isRequired: true),
                            .init("name", Schema(.text(1...200, isOneLine: true)).orNull),
                            .init("jobs", Schema(.list(Self.draft, 1...Self.jobsMax)), isRequired: true), .reason,
                        ], isOpen: false)),
                answers: [Answer("The workflow.", Self.whole, status: .created)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["workflow.add", "job.add"], handler: add),
            Route(
                .post, "/api/workflows/split", access: .members,
                "Splits a long list into jobs, with one after them that shows how far they are.",
                details: """
                    A job for each `size` of the items: its payload is `payload` with `items`, `chunk` and `chunks`. The \
                    last job, named `all`, waits for them; its progress is the share of them that have ended, and its \
                    payload is `payload` with `results`.
                    """,
                parameters: [.idempotencyKey],
                body: Schema(
                    .object(
                        [
                            .init("workspace_id", Schema(.uuid), isRequired: true),
                            .init("name", Schema(.text(1...200, isOneLine: true)).orNull),
                            .init("job_type", .jobType, isRequired: true),
                            .init(
                                "finally", Schema.jobType.noted("The job type after them."), isRequired: true),
                            .init("items", Schema(.list(Schema(.anything), 1...100_000)), isRequired: true),
                            .init("size", Schema(.whole(1...100_000), note: "100 unless given.")),
                            .init("payload", Schema(.object([], isOpen: true))), .init("job_queue", Schema.jobQueue),
                            .init("on_dependency_failure", Schema(.choice(["cancel", "run"]))), .reason,
                        ], isOpen: false)),
                answers: [Answer("The workflow.", Self.whole, status: .created)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["workflow.add", "job.add"], handler: split),
            Route(
                .get, "/api/workflows/{id}", access: .members, "Shows a workflow with its jobs.",
                answers: [Answer("The workflow.", Self.whole)], refusals: [.notFound], handler: show),
            Route(
                .post, "/api/workflows/{id}/cancel", access: .members, "Cancels what hasn't ended of a workflow.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("How many jobs were cancelled.", Self.changed)], refusals: [.forbidden, .notFound],
                audit: ["workflow.cancel"], handler: { try await change($0, isRetry: false) }),
            Route(
                .post, "/api/workflows/{id}/retry", access: .members,
                "Runs again what failed or was cancelled of a workflow; what completed stays.",
                parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("How many jobs wait again.", Self.changed)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["workflow.retry"],
                handler: { try await change($0, isRetry: true) }),
        ]
    }

    // MARK: Forms

    private static let draft = Schema(
        .object(
            [
                .init("name", Schema(.text(1...100, isOneLine: true), note: "Letters, digits, - and _.")),
                .init("job_type", .jobType, isRequired: true),
                .init("payload", Schema(.anything, note: "{} unless given.")),
                .init(
                    "after",
                    Schema(.list(Schema(.text(1...100, isOneLine: true)), 0...jobsMax), note: "What it waits for.")),
                .init(
                    "on_dependency_failure",
                    Schema(
                        .choice(["cancel", "run"]),
                        note: "What becomes of it if one of those doesn't complete; cancel unless given.")),
                .init("job_queue", Schema.jobQueue), .init("priority", Schema(.whole(-10...10))),
                .init("scheduled_for", Schema(.moment, note: "Not before this time either.")),
                .init("max_attempts", Schema(.whole(1...10))),
                .init("timeout_seconds", Schema(.whole(1...2_592_000), note: "For each attempt.")),
                .init("unique_key", Schema(.text(1...255, isOneLine: true))),
            ], isOpen: false))

    private static let members: [Schema.Property] = [
        .init("id", Schema(.uuid), isRequired: true), .init("workspace_id", Schema(.uuid), isRequired: true),
        .init("name", JobDocument.prose.orNull, isRequired: true),
        .init(
            "state",
            Schema(.choice(["running", "completed", "failed", "cancelled"])).orNull.noted(
                "From its jobs; null once none of them is left."), isRequired: true),
        .init("created_by", Schema(.uuid).orNull, isRequired: true),
        .init("created_at", Schema(.moment), isRequired: true),
    ]
    private static let summary = Schema(.object(members, isOpen: true))
    private static let whole = Schema(
        .object(
            members + [
                .init(
                    "jobs",
                    Schema(
                        .list(
                            Schema(
                                .object(
                                    [
                                        .init("id", Schema(.uuid), isRequired: true),
                                        .init("name", JobDocument.prose.orNull, isRequired: true),
                                        .init("job_type", JobDocument.word, isRequired: true),
                                        .init("status", JobDocument.word.orNull, isRequired: true),
                                        .init("percentage", JobDocument.whole.orNull, isRequired: true),
                                        .init("error_message", JobDocument.prose.orNull, isRequired: true),
                                        .init("after", Schema(.list(Schema(.uuid), 0...100_000)), isRequired: true),
                                    ], isOpen: true)), 0...100_000)), isRequired: true)
            ], isOpen: true))
    private static let changed = Schema(
        .object([.init("changed", JobDocument.whole, isRequired: true)], isOpen: true))

    // MARK: Looking

    private static let columns = """
        w.id, w.workspace_id, w.name, jobworker.workflow_state(w.id) AS state, w.created_by, w.created_at
        """

    private func list(_ request: APIRequest) async throws -> Response {
        let limit = try request.number("limit", in: 1...200) ?? Self.listedDefault
        let workspaceID = try request.uuid("workspace_id")
        let cursor = try request.text("cursor").flatMap { JobCursor(text: $0) }
        let place: Fragment =
            cursor.map { "(w.created_at, w.id) < (\($0.createdAt ?? .distantPast), \($0.id))" } ?? "true"
        let owner: Fragment = workspaceID.map { "w.workspace_id = \($0)" } ?? "true"
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.workflows */
                SELECT shown.id, shown.created_at, row_to_json(shown)::text AS row
                FROM (SELECT \(sql: Self.columns) FROM public.job_workflows AS w WHERE \(owner) AND \(place)
                      ORDER BY w.created_at DESC, w.id DESC LIMIT \(limit + 1)) AS shown
                """)
            var texts = try rows.json()
            var next = "null"
            if texts.count > limit {
                texts.removeLast()
                let last = rows[limit - 1]
                let cursor = JobCursor(createdAt: try last.decode("created_at"), id: try last.decode("id"))
                next = "\"\(cursor.text)\""
            }
            return Reply(#"{"workflows":[\#(texts.joined(separator: ","))],"next_cursor":\#(next)}"#).response
        }
    }

    private static func text(_ id: UUID, _ connection: isolated Connection) throws -> String {
        let rows = try connection.execute(
            """
            /* jobworker:api.workflows.show */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: columns),
                         ARRAY(SELECT row_to_json(step) FROM (
                             SELECT jobs.id, jobs.workflow_step AS name, jobs.job_type, jobs.status,
                                    CASE WHEN jsonb_typeof(jobs.progress -> 'percentage') = 'number'
                                         THEN (jobs.progress ->> 'percentage')::numeric::int END AS percentage,
                                    left(jobs.error_message, 500) AS error_message,
                                    ARRAY(SELECT depends_on_job_id FROM public.job_dependencies
                                          WHERE job_id = jobs.id) AS after
                             FROM public.jobs WHERE jobs.workflow_id = w.id
                             ORDER BY jobs.created_at, length(jobs.workflow_step), jobs.workflow_step, jobs.id) AS step)
                         AS jobs
                  FROM public.job_workflows AS w WHERE w.id = \(id)) AS shown
            """)
        guard let text = try rows.json().first else { throw APIError.missing }
        return text
    }

    private func show(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.read(request) { connection in Reply(try Self.text(id, connection)).response }
    }

    // MARK: Changing

    private func add(_ request: APIRequest) async throws -> Response {
        guard let document = request.document,
            let workspace = document["workspace_id"]?.string.flatMap({ UUID(uuidString: $0) }),
            let jobs = document["jobs"].map({ JSONText($0.text) })
        else { throw APIError.invalidParameter("the body", "names no workspace and jobs") }
        let name = document["name"]?.string
        return try await database.change(request, of: "workflows.add") { connection in
            let rows = try connection.execute(
                "/* jobworker:api.workflows.add */ SELECT jobworker.add_workflow(\(workspace), \(jobs), \(name)) AS id")
            guard let row = rows.first else { throw APIError.missing }
            return Reply(try Self.text(try row.decode("id"), connection), status: .created)
        }
    }

    private func split(_ request: APIRequest) async throws -> Response {
        guard let document = request.document,
            let workspace = document["workspace_id"]?.string.flatMap({ UUID(uuidString: $0) }),
            let type = document["job_type"]?.string, let finally = document["finally"]?.string,
            let items = document["items"]?.elements
        else { throw APIError.invalidParameter("the body", "names no workspace, types and items") }
        var members: [(name: String, value: JSONText)] = []
        if case .object(let given)? = document["payload"] {
            members = given.map { ($0.name, JSONText($0.value.text)) }
            if let taken = members.first(where: { ["items", "chunk", "chunks", "results"].contains($0.name) }) {
                throw APIError(
                    .unprocessableContent, code: "invalid_payload",
                    "The payload holds '\(taken.name)', which the split itself writes.")
            }
        }
        let policy = document["on_dependency_failure"]?.string.flatMap { LinkedJob.OnDependencyFailure(rawValue: $0) }
        let jobs = try LinkedJob.list(
            LinkedJob.chunks(
                of: items.map { JSONText($0.text) }, size: document["size"]?.whole ?? 100, type: type,
                finally: finally, payload: members, onDependencyFailure: policy ?? .cancel,
                queue: document["job_queue"]?.string ?? "default"))
        let name = document["name"]?.string
        return try await database.change(request, of: "workflows.split") { connection in
            let rows = try connection.execute(
                "/* jobworker:api.workflows.split */ SELECT jobworker.add_workflow(\(workspace), \(jobs), \(name)) AS id"
            )
            guard let row = rows.first else { throw APIError.missing }
            return Reply(try Self.text(try row.decode("id"), connection), status: .created)
        }
    }

    private func change(_ request: APIRequest, isRetry: Bool) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: isRetry ? "workflows.retry" : "workflows.cancel") { connection in
            let call: Fragment =
                isRetry ? "jobworker.retry_workflow(\(id))" : "jobworker.cancel_workflow(\(id))"
            let rows = try connection.execute("/* jobworker:api.workflows.change */ SELECT \(call) AS jobs")
            return Reply(#"{"changed":\#(try rows.first?.decode("jobs", as: Int.self) ?? 0)}"#)
        }
    }
}
