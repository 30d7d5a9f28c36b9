import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// Changes of many jobs that the workers carry out bit by bit; `POST /api/jobs/bulk` begins them. Members see and steer
/// those of workspaces of which they are admins: the policies decide.
struct ManyRoutes: Sendable {
    private let database: APIDatabase

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        [
            Route(
                .get, "/api/operations", access: .members, "Lists operations on many jobs, the latest first.",
                parameters: [.limit],
                answers: [
                    Answer(
                        "The operations. They are kept for a week after their end.",
                        Schema(
                            .object(
                                [.init("operations", Schema(.list(Self.operation, 0...200)), isRequired: true)],
                                isOpen: true)))
                ], handler: list),
            Route(
                .get, "/api/operations/{id}", access: .members, "Shows how far an operation is.",
                answers: [Answer("The operation.", Self.operation)], refusals: [.notFound], handler: show),
        ]
            + [
                ("pause", "Takes no further job, until it is resumed. For admins."),
                ("resume", "Goes on with an operation that was paused, or stopped by its own rule. For admins."),
                ("abort", "Ends an operation; what it has changed stays changed. For admins."),
            ].map { wish, summary in
                Route(
                    .post, "/api/operations/{id}/\(wish)", access: .members, summary,
                    parameters: [.idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                    answers: [Answer("The operation as it is now.", Self.operation)],
                    refusals: [.forbidden, .notFound, .conflict], audit: ["operation.\(wish)"],
                    handler: { request in try await control(request, wish) })
            }
    }

    static let operation = Schema(
        .object(
            [
                .init("id", Schema(.uuid), isRequired: true),
                .init("workspace_id", Schema(.uuid, note: "null: jobs of several.").orNull, isRequired: true),
                .init("action", Schema(.choice(Operation.Action.allCases.map(\.rawValue))), isRequired: true),
                .init(
                    "state",
                    Schema(
                        .choice(["running", "paused", "stopped", "done", "aborted"]), note: "stopped: by its own rule."),
                    isRequired: true),
                .init("state_reason", JobDocument.prose.orNull, isRequired: true),
                .init("rate", Schema(.number, note: "Jobs a second.").orNull, isRequired: true),
                .init("canary", JobDocument.whole.orNull, isRequired: true),
                .init("stop_on_errors", Schema(.number, note: "Percent.").orNull, isRequired: true),
            ]
                + ["total", "taken", "changed", "skipped", "succeeded", "failed"].map {
                    .init($0, JobDocument.whole, isRequired: true)
                } + [
                    .init("created_at", Schema(.moment), isRequired: true),
                    .init("ended_at", Schema(.moment).orNull, isRequired: true),
                ], isOpen: true))

    private func list(_ request: APIRequest) async throws -> Response {
        let limit = try request.number("limit", in: 1...200) ?? 20
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.operations.list */
                SELECT shown.json::text AS row
                FROM (SELECT \(sql: Operation.columns) FROM public.job_operations AS operation
                      ORDER BY operation.created_at DESC, operation.id DESC LIMIT \(limit)) AS shown
                ORDER BY shown.created_at DESC, shown.id DESC
                """)
            return Reply(#"{"operations":[\#(try rows.json().joined(separator: ","))]}"#).response
        }
    }

    private func show(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.operations.show */
                SELECT shown.json::text AS row
                FROM (SELECT \(sql: Operation.columns) FROM public.job_operations AS operation
                      WHERE operation.id = \(id)) AS shown
                """)
            guard let text = try rows.json().first else { throw APIError.missing }
            return Reply(text).response
        }
    }

    private func control(_ request: APIRequest, _ wish: String) async throws -> Response {
        let id = try request.id()
        return try await database.change(request, of: "operation.\(wish)") { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.operations.control */
                SELECT shown.json::text AS row
                FROM (SELECT \(sql: Operation.columns)
                      FROM jobworker.control_operation(\(id), \(wish)) AS operation) AS shown
                """)
            guard let text = try rows.json().first else { throw APIError.missing }
            return Reply(text)
        }
    }
}

extension OperationPlan {
    /// What a request may say about how many jobs are changed.
    static let properties: [Schema.Property] = [
        .init("rate", Schema(.number, note: "So many jobs a second and no more.").orNull),
        .init(
            "canary",
            Schema(.whole(1...1_000_000), note: "Begin with so many; the rest once all of them have completed.").orNull),
        .init(
            "stop_on_errors",
            Schema(.number, note: "Stop when more percent of the jobs that have ended failed.").orNull),
        .init("payload", Schema(.anything, note: "Of replays: in place of each job's own.")),
        .init(
            "set",
            Schema(
                .map(Schema(.anything)),
                note: "Of replays: other values in the payloads, by path with dots: `account.region`.")),
        .init("dry_run", Schema(.boolean, note: "Only count them.")),
    ]

    /// - Throws: `APIError`.
    init(_ document: JSONNode) throws(APIError) {
        self.init()
        rate = try Self.number(document, "rate", 0.0001...100_000)
        canary = document["canary"]?.whole
        stopOnErrors = try Self.number(document, "stop_on_errors", 0...100)
        payload = document["payload"].map { JSONText($0.text) }
        guard case .object(let members) = document["set"] else { return }
        for member in members {
            let path = member.name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            guard path.allSatisfy({ !$0.isEmpty }) else {
                throw APIError.invalidParameter("set.\(member.name)", "must be names with dots between them")
            }
            changes.append(.init(path: path, value: JSONText(member.value.text)))
        }
    }

    private static func number(
        _ document: JSONNode, _ name: String, _ range: ClosedRange<Double>
    ) throws(APIError) -> Double? {
        guard case .number(let text) = document[name] else { return nil }
        guard let value = Double(text), range.contains(value) else {
            throw APIError.invalidParameter(name, "must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}
