import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// Queues, and the workers that serve them. For operators; members have no rights on either.
struct QueueRoutes: Sendable {
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
                parameters: [name, .idempotencyKey],
                body: Schema(
                    .object(
                        [
                            .init(
                                "max_running",
                                Schema(.whole(0...100_000), note: "Most of its jobs at once; null: no limit.").orNull),
                            .init("weight", Schema(.whole(1...1000), note: "Its share beside other queues'.")),
                            .init(
                                "ageing_seconds",
                                Schema(
                                    .whole(1...31_536_000),
                                    note: "So long a wait is worth a step of priority; null: never."
                                ).orNull),
                            .init("fair", Schema(.boolean, note: "Workspaces take turns.")),
                            .init("dead_letter", Schema(.boolean, note: "What used up its attempts is set aside.")),
                            .reason,
                        ], isOpen: false)),
                answers: [Answer("The queue.", Self.queue)], audit: ["queue.set"], handler: set),
            Route(
                .post, "/api/queues/{name}/pause", access: .operators,
                "Keeps a queue's jobs from being started; running ones go on.",
                parameters: [name, .idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("The queue.", Self.queue)], audit: ["queue.pause"],
                handler: { try await pause($0, true) }),
            Route(
                .post, "/api/queues/{name}/resume", access: .operators, "Lets a queue's jobs be started again.",
                parameters: [name, .idempotencyKey], body: .reasonAlone, isBodyRequired: false,
                answers: [Answer("The queue.", Self.queue)], audit: ["queue.resume"],
                handler: { try await pause($0, false) }),
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
                .init("weight", JobDocument.whole, isRequired: true),
                .init("ageing_seconds", Schema(.number).orNull, isRequired: true),
                .init("fair", Schema(.boolean), isRequired: true),
                .init("dead_letter", Schema(.boolean), isRequired: true),
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
            "max_running": whole(queue.maxRunning), "weight": whole(queue.weight),
            "ageing_seconds": queue.ageing.map {
                .number($0.seconds == $0.seconds.rounded() ? String(Int($0.seconds)) : String($0.seconds))
            } ?? .null, "fair": .bool(queue.isFair), "dead_letter": .bool(queue.setsAside),
        ]
    }

    /// The queue as it is after a change.
    private static func answer(_ name: String, _ connection: isolated Connection) throws -> Reply {
        guard let queue = try JobStore.queue(name, connection) else { throw APIError.missing }
        return Reply(document(queue).text)
    }

    private func pause(_ request: APIRequest, _ isPaused: Bool) async throws -> Response {
        let name = request.parameters["name"] ?? ""
        let requester = APIDatabase.requester(request.caller)
        return try await database.change(request, of: isPaused ? "queue.pause" : "queue.resume") { connection in
            try connection.execute(
                """
                /* jobworker:api.queues.pause */
                INSERT INTO public.job_queues AS queue (name, paused_at, paused_by)
                VALUES (\(name), CASE WHEN \(isPaused) THEN clock_timestamp() END,
                        CASE WHEN \(isPaused) THEN \(requester.actor) END)
                ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at, paused_by = excluded.paused_by
                WHERE (queue.paused_at IS NULL) = \(isPaused)
                """)
            return try Self.answer(name, connection)
        }
    }

    private func set(_ request: APIRequest) async throws -> Response {
        let name = request.parameters["name"] ?? ""
        guard let document = request.document else { throw APIError.invalidParameter("the body", "is missing") }
        var rules = QueueRules()
        if let value = document["max_running"] { rules.maxRunning = .some(value.whole) }
        if let value = document["ageing_seconds"] { rules.ageing = .some(value.whole.map { .seconds($0) }) }
        rules.weight = document["weight"]?.whole
        rules.isFair = document["fair"].flatMap(Self.flag)
        rules.deadLetter = document["dead_letter"].flatMap(Self.flag)
        let wanted = rules
        return try await database.change(request, of: "queue.set") { connection in
            try JobStore.setRules(wanted, queue: name, connection)
            return try Self.answer(name, connection)
        }
    }

    private static func flag(_ node: JSONNode) -> Bool? {
        if case .bool(let flag) = node { flag } else { nil }
    }
}
