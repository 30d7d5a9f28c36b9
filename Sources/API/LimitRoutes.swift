import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// Limits on job types and workspaces. For operators.
struct LimitRoutes: Sendable {
    private let database: APIDatabase

    init(database: APIDatabase) { self.database = database }

    private static let limitName = Schema(.text(1...100, isOneLine: true))

    var routes: [Route] {
        let name = Parameter("name", in: .path, Self.limitName, "The limit's name.")
        return [
            Route(
                .get, "/api/limits", access: .operators, "Lists the limits on job types and workspaces.",
                answers: [
                    Answer(
                        "The limits by name.",
                        Schema(
                            .object(
                                [.init("limits", Schema(.list(Self.limit, 0...10_000)), isRequired: true)], isOpen: true
                            )))
                ], handler: list),
            Route(
                .put, "/api/limits/{name}", access: .operators, "Sets a limit, in place of an earlier one of its name.",
                details: """
                    It holds over all workers, from the next claim on: `max_running` at once, or `rate` starts in \
                    `period_seconds`, `burst` of them at once after a quiet time; for a job type, a workspace, or each \
                    workspace by itself.
                    """,
                parameters: [name, .idempotencyKey],
                body: Schema(
                    .object(
                        [
                            .init("job_type", Schema(.text(1...100, isOneLine: true)).orNull),
                            .init("workspace_id", Schema(.uuid).orNull), .init("each_workspace", Schema(.boolean)),
                            .init("max_running", Schema(.whole(0...100_000)).orNull),
                            .init("rate", Schema(.whole(1...1_000_000)).orNull),
                            .init("period_seconds", Schema(.whole(1...86_400), note: "60 by default.")),
                            .init(
                                "burst", Schema(.whole(1...1_000_000), note: "A second's worth by default.").orNull),
                            .reason,
                        ], isOpen: false)),
                answers: [Answer("The limit.", Self.limit)], audit: ["limit.add", "limit.change"], handler: set),
            Route(
                .delete, "/api/limits/{name}", access: .operators,
                "Removes a limit; what it held back may start at once.", parameters: [name, .reason],
                answers: [
                    Answer(
                        "It is gone.",
                        Schema(.object([.init("success", Schema(.boolean), isRequired: true)], isOpen: true)))
                ], refusals: [.notFound, .unprocessableContent], audit: ["limit.delete"], handler: remove),
        ]
    }

    private static let limit = Schema(
        .object(
            [
                .init("name", JobDocument.word, isRequired: true),
                .init("job_type", JobDocument.word.orNull, isRequired: true),
                .init("workspace_id", Schema(.uuid).orNull, isRequired: true),
                .init("each_workspace", Schema(.boolean), isRequired: true),
                .init("max_running", JobDocument.whole.orNull, isRequired: true),
                .init("rate", JobDocument.whole.orNull, isRequired: true),
                .init("period_seconds", JobDocument.whole.orNull, isRequired: true),
                .init("burst", JobDocument.whole.orNull, isRequired: true),
                .init("running", JobDocument.whole, isRequired: true),
            ], isOpen: true))

    private static func document(_ status: JobLimitStatus) -> JSONNode {
        let limit = status.limit
        func whole(_ value: Int?) -> JSONNode { value.map { .number(String($0)) } ?? .null }
        func text(_ value: String?) -> JSONNode { value.map { .string($0) } ?? .null }
        return [
            "name": .string(limit.name), "job_type": text(limit.jobType), "workspace_id": text(limit.workspaceID?.text),
            "each_workspace": .bool(limit.isForEachWorkspace), "max_running": whole(limit.maxRunning),
            "rate": whole(limit.rate?.starts),
            "period_seconds": whole(limit.rate.map { Int($0.period.components.seconds) }),
            "burst": whole(limit.rate?.burst), "running": whole(status.running),
        ]
    }

    private static func refusal(_ sentence: String) -> APIError {
        APIError(.unprocessableContent, code: "invalid_limit", sentence)
    }

    private func list(_ request: APIRequest) async throws -> Response {
        let limits = try await database.translated {
            try await JobStore(pool: database.reading(as: request.caller)).limits()
        }
        return Reply(#"{"limits":[\#(limits.map { Self.document($0).text }.joined(separator: ","))]}"#).response
    }

    private func set(_ request: APIRequest) async throws -> Response {
        let name = request.parameters["name"] ?? ""
        guard let document = request.document else { throw APIError.invalidParameter("the body", "is missing") }
        var limit = JobLimit(name: name)
        limit.jobType = document["job_type"]?.string
        limit.workspaceID = document["workspace_id"]?.string.flatMap { UUID(uuidString: $0) }
        limit.isForEachWorkspace = document["each_workspace"] == .bool(true)
        limit.maxRunning = document["max_running"]?.whole
        if let starts = document["rate"]?.whole {
            limit.rate = JobLimit.Rate(
                starts: starts, period: .seconds(document["period_seconds"]?.whole ?? 60),
                burst: document["burst"]?.whole)
        } else if document["burst"]?.whole != nil {
            throw Self.refusal("A burst belongs to a rate.")
        }
        if let mistake = limit.mistake { throw Self.refusal("This makes no limit: \(mistake).") }
        let wanted = limit
        return try await database.change(request, of: "limit.set") { connection in
            try JobStore.setLimit(wanted, connection)
            guard let status = try JobStore.limit(name, connection) else { throw APIError.missing }
            return Reply(Self.document(status).text)
        }
    }

    private func remove(_ request: APIRequest) async throws -> Response {
        let name = request.parameters["name"] ?? ""
        return try await database.change(request, of: "limit.delete") { connection in
            let rows = try connection.execute(
                "/* jobworker:api.limits.remove */ DELETE FROM public.job_limits WHERE name = \(name)")
            guard rows.affected > 0 else { throw APIError.missing }
            return Reply(#"{"success":true}"#)
        }
    }
}
