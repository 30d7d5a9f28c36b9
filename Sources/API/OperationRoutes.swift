import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// What runs the jobs: workers and queues. For operators; members have no rights on either.
struct OperationRoutes: Sendable {
    private let database: APIDatabase
    private let silence: Duration

    /// - Parameter silence: How long a worker may be silent and still count as alive.
    init(database: APIDatabase, silence: Duration) {
        self.database = database
        self.silence = silence
    }

    var routes: [Route] {
        let name = Parameter("name", in: .path, .jobQueue, "The queue's name.")
        return [
            Route(
                .get, "/api/workers", access: .operators, "Lists the workers of the last day.",
                answers: [
                    Answer(
                        "The workers, the living first.",
                        Schema(
                            .object(
                                [.init("workers", Schema(.list(Self.worker, 0...1000)), isRequired: true)], isOpen: true
                            )))
                ], handler: workers),
            Route(
                .get, "/api/queues", access: .operators, "Lists the queues, and what waits and runs in them.",
                answers: [
                    Answer(
                        "The queues by name.",
                        Schema(
                            .object(
                                [.init("queues", Schema(.list(Self.queue, 0...1000)), isRequired: true)], isOpen: true))
                    )
                ], handler: queues),
            Route(
                .put, "/api/queues/{name}", access: .operators, "Sets what holds for a queue over all workers.",
                parameters: [name],
                body: Schema(
                    .object(
                        [
                            .init(
                                "max_running",
                                Schema(.whole(0...100_000), note: "Most of its jobs at once; null: no limit.").orNull),
                            .init("weight", Schema(.whole(1...1000))),
                            .init("fair", Schema(.boolean, note: "Workspaces take turns.")),
                            .init("dead_letter", Schema(.boolean, note: "What used up its attempts is set aside.")),
                        ], isOpen: false)),
                answers: [Answer("The queue.", Self.queue)], handler: set),
            Route(
                .post, "/api/queues/{name}/pause", access: .operators,
                "Keeps a queue's jobs from being started; running ones go on.", parameters: [name],
                answers: [Answer("The queue.", Self.queue)], handler: { try await pause($0, true) }),
            Route(
                .post, "/api/queues/{name}/resume", access: .operators, "Lets a queue's jobs be started again.",
                parameters: [name], answers: [Answer("The queue.", Self.queue)], handler: { try await pause($0, false) }
            ),
        ]
    }

    private static let worker = Schema(
        .object(
            [
                .init("id", JobDocument.word, isRequired: true), .init("instance", JobDocument.word, isRequired: true),
                .init("host", JobDocument.word, isRequired: true),
                .init("pid", JobDocument.whole.orNull, isRequired: true),
                .init("version", JobDocument.word.orNull, isRequired: true),
                .init("queues", Schema(.list(JobDocument.word, 0...10_000)), isRequired: true),
                .init("job_types", Schema(.list(JobDocument.word, 0...10_000)), isRequired: true),
                .init("max_concurrent", JobDocument.whole.orNull, isRequired: true),
                .init("running", JobDocument.whole, isRequired: true),
                .init("started_at", Schema(.moment), isRequired: true),
                .init("seen_at", Schema(.moment), isRequired: true),
                .init("state", Schema(.choice(["alive", "silent", "stopped"])), isRequired: true),
            ], isOpen: true))

    private static let queue = Schema(
        .object(
            [
                .init("name", JobDocument.word, isRequired: true), .init("depth", JobDocument.whole, isRequired: true),
                .init("due", JobDocument.whole, isRequired: true),
                .init("processing", JobDocument.whole, isRequired: true),
                .init("oldest_due_at", Schema(.moment).orNull, isRequired: true),
                .init("paused_at", Schema(.moment).orNull, isRequired: true),
                .init("paused_by", JobDocument.prose.orNull, isRequired: true),
                .init("max_running", JobDocument.whole.orNull, isRequired: true),
            ], isOpen: true))

    private func workers(_ request: APIRequest) async throws -> Response {
        let silence = silence
        return try await database.read(request) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.workers */
                SELECT row_to_json(shown)::text AS row
                FROM (SELECT id, instance, host, pid, version, queues, job_types, max_concurrent, running, started_at,
                             seen_at, CASE WHEN stopped_at IS NOT NULL THEN 'stopped'
                                           WHEN seen_at > clock_timestamp() - \(silence) THEN 'alive'
                                           ELSE 'silent' END AS state
                      FROM public.job_workers
                      ORDER BY stopped_at IS NOT NULL, seen_at DESC, id LIMIT 1000) AS shown
                """)
            return Reply(#"{"workers":[\#(try rows.json().joined(separator: ","))]}"#).response
        }
    }

    private func queues(_ request: APIRequest) async throws -> Response {
        let queues = try await database.translated {
            try await JobStore(pool: database.reading(as: request.caller)).queues()
        }
        return Reply(#"{"queues":[\#(queues.prefix(1000).map { Self.document($0).text }.joined(separator: ","))]}"#)
            .response
    }

    private static func document(_ queue: QueueStatus) -> JSONNode {
        func whole(_ value: Int?) -> JSONNode { value.map { .number(String($0)) } ?? .null }
        func moment(_ value: Timestamp?) -> JSONNode { value.map { .string($0.text(fractionDigits: 3)) } ?? .null }
        return [
            "name": .string(queue.name), "depth": whole(queue.depth), "due": whole(queue.due),
            "processing": whole(queue.processing), "oldest_due_at": moment(queue.oldestDueAt),
            "paused_at": moment(queue.pausedAt), "paused_by": queue.pausedBy.map { .string($0) } ?? .null,
            "max_running": whole(queue.maxRunning),
        ]
    }

    /// The queue as it is after a change.
    private func answer(_ name: String, _ request: APIRequest) async throws -> Response {
        let queues = try await database.translated {
            try await JobStore(pool: database.reading(as: request.caller)).queues()
        }
        guard let queue = queues.first(where: { $0.name == name }) else { throw APIError.missing }
        return Reply(Self.document(queue).text).response
    }

    private func pause(_ request: APIRequest, _ isPaused: Bool) async throws -> Response {
        let name = request.parameters["name"] ?? ""
        let requester = APIDatabase.requester(request.caller)
        try await database.translated {
            _ = try await JobStore(pool: database.changing(as: request.caller)).setPaused(
                isPaused, queue: name, by: requester)
        }
        return try await answer(name, request)
    }

    private func set(_ request: APIRequest) async throws -> Response {
        let name = request.parameters["name"] ?? ""
        guard let document = request.document else { throw APIError.invalidParameter("the body", "is missing") }
        let requester = APIDatabase.requester(request.caller)
        let changes = JSONText(document.text)
        try await database.translated {
            try await database.changing(as: request.caller).transaction { connection in
                try connection.execute(
                    """
                    /* jobworker:api.queues.add */
                    INSERT INTO public.job_queues (name) VALUES (\(name)) ON CONFLICT DO NOTHING
                    """)
                try connection.execute(
                    """
                    /* jobworker:api.queues.set */
                    UPDATE public.job_queues
                    SET max_running = CASE WHEN changes ? 'max_running' THEN (changes ->> 'max_running')::int
                                           ELSE max_running END,
                        weight = coalesce((changes ->> 'weight')::int, weight),
                        fair = coalesce((changes ->> 'fair')::boolean, fair),
                        dead_letter = coalesce((changes ->> 'dead_letter')::boolean, dead_letter)
                    FROM (SELECT \(changes) AS changes) AS given
                    WHERE name = \(name)
                    """)
                try Self.audit("queue.set", name, requester, connection)
            }
        }
        return try await answer(name, request)
    }

    private static func audit(
        _ action: String, _ name: String, _ requester: Requester, _ connection: isolated Connection
    ) throws {
        try connection.execute(
            """
            /* jobworker:api.audit */
            INSERT INTO public.job_audit (actor, via, action, subject)
            VALUES (\(requester.actor), \(requester.via.rawValue), \(action), \(name))
            """)
    }
}
