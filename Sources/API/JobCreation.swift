import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres
import Tokens

/// Adding jobs: one, many, or another from an old one.
struct JobCreation: Sendable {
    private let database: APIDatabase

    /// Most jobs of one request.
    private static let batchMax = 1000

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        [
            Route(
                .post, "/api/jobs", access: .members, "Adds a job, or up to \(Self.batchMax) of them, all or none.",
                details: """
                    With a `unique_key` that a pending, blocked or processing job of the same workspace and type has, \
                    nothing is added: the answer is that job, with `"duplicate": true` and the status 200. The names \
                    may be written `jobType` as well. With `after` a job waits, blocked, for jobs of its workspace.
                    """,
                parameters: [.idempotencyKey],
                body: Schema(
                    .byMember(
                        "jobs",
                        Schema(
                            .object(
                                [.init("jobs", Schema(.list(Self.draft, 1...Self.batchMax)), isRequired: true)],
                                isOpen: false)), Self.draft)),
                answers: [
                    Answer("The job, or the jobs in the order given.", Self.added, status: .created),
                    Answer("The active job with the same unique key.", .job),
                ], refusals: [.forbidden, .notFound, .conflict], audit: ["job.add"], handler: add),
            Route(
                .post, "/api/jobs/{id}/replay", access: .members,
                "Adds a new job like an old one, with another payload if one is given.",
                details: "The old job stays as it is; the new one names it in `replay_of`.",
                parameters: [.idempotencyKey],
                body: Schema(.object([.init("payload", Schema(.anything)), .reason], isOpen: false)),
                isBodyRequired: false, answers: [Answer("The new job.", .job, status: .created)],
                refusals: [.forbidden, .notFound, .conflict], audit: ["job.replay"], handler: replay),
        ]
    }

    private static let draft = Schema(
        .object(
            [
                .init("workspace_id", Schema(.uuid), isRequired: true),
                .init("job_type", .jobType, isRequired: true),
                .init("payload", Schema(.anything, note: "What the job's processor gets; {} unless given.")),
                .init("job_queue", Schema.jobQueue.orNull),
                .init("priority", Schema.priority.orNull),
                .init("scheduled_for", Schema(.moment, note: "Not before this time.").orNull),
                .init("max_attempts", Schema(.whole(1...10)).orNull),
                .init("timeout_seconds", Schema(.whole(1...2_592_000), note: "For each attempt.").orNull),
                .init("unique_key", Schema(.text(1...255, isOneLine: true)).orNull),
                .init(
                    "after", Schema(.list(Schema(.uuid), 0...1000), note: "Jobs that it waits for.").orNull),
                .init(
                    "on_dependency_failure",
                    Schema(
                        .choice(["cancel", "run"]),
                        note: "What becomes of it if one of those doesn't complete; cancel unless given."
                    ).orNull),
            ], isOpen: false))

    private static let added = Schema(
        .byMember(
            "jobs",
            Schema(.object([.init("jobs", Schema(.list(.job, 1...batchMax)), isRequired: true)], isOpen: true)), .job))

    /// A job as it was described, of the declared form.
    private struct Draft: Sendable {
        let workspaceID: UUID
        let type: String
        let payload: JSONText
        let queue: String
        let priority: Int
        let scheduledFor: Timestamp?
        let maxAttempts: Int
        let timeoutSeconds: Int?
        let uniqueKey: String?
        /// Ids of jobs that it waits for.
        let after: [UUID]
        let onDependencyFailure: LinkedJob.OnDependencyFailure

        init(_ node: JSONNode) throws(APIError) {
            guard let workspaceID = node["workspace_id"]?.string.flatMap({ UUID(uuidString: $0) }),
                let type = node["job_type"]?.string
            else { throw .invalidParameter("a job", "names no workspace or type") }
            self.workspaceID = workspaceID
            self.type = type
            payload = JSONText(node["payload"]?.text ?? "{}")
            queue = node["job_queue"]?.string ?? "default"
            priority = node["priority"].flatMap { $0.whole ?? $0.string.flatMap { Priority(text: $0)?.rawValue } } ?? 0
            scheduledFor = node["scheduled_for"]?.string.flatMap { Timestamp(text: $0) }
            maxAttempts = node["max_attempts"]?.whole ?? 5
            timeoutSeconds = node["timeout_seconds"]?.whole
            uniqueKey = node["unique_key"]?.string
            after = node["after"]?.elements?.compactMap { $0.string.flatMap { UUID(uuidString: $0) } } ?? []
            onDependencyFailure =
                node["on_dependency_failure"]?.string.flatMap { LinkedJob.OnDependencyFailure(rawValue: $0) } ?? .cancel
        }
    }

    private func add(_ request: APIRequest) async throws -> Response {
        guard let document = request.document else { throw APIError.invalidParameter("the body", "is missing") }
        let batch = document["jobs"]?.elements
        let drafts = try (batch ?? [document]).map { node throws(APIError) in try Draft(node) }
        let creator: UUID? = if case .member(let member) = request.caller { member.userID } else { nil }
        return try await database.change(request, of: "create") { connection in
            let added = try Self.add(drafts, creator, connection, listed: batch != nil)
            guard batch == nil else {
                return Reply(#"{"jobs":[\#(added.map(\.text).joined(separator: ","))]}"#, status: .created)
            }
            guard let job = added.first else { throw APIError.missing }
            return Reply(job.text, status: job.isDuplicate ? .ok : .created)
        }
    }

    private struct Added {
        var text: String
        var isDuplicate = false
    }

    private static func add(
        _ drafts: [Draft], _ creator: UUID?, _ connection: isolated Connection, listed: Bool
    ) throws -> [Added] {
        let columns = JobDocument.columns(
            valueBytesMax: listed ? JobDocument.listedBytesMax : JobDocument.shownBytesMax)
        var added = [Added?](repeating: nil, count: drafts.count)
        // Rows come back in the order in which they were inserted; with a key one may be missing, so each goes alone.
        let plain = drafts.indices.filter { drafts[$0].uniqueKey == nil && drafts[$0].after.isEmpty }
        if !plain.isEmpty {
            let rows = try insert(plain.map { drafts[$0] }, creator, columns, connection)
            for (index, text) in zip(plain, rows) { added[index] = Added(text: text) }
        }
        for index in drafts.indices where !drafts[index].after.isEmpty {
            added[index] = try addWaiting(drafts[index], columns, connection)
        }
        for index in drafts.indices where drafts[index].uniqueKey != nil && drafts[index].after.isEmpty {
            added[index] = try addUnique(drafts[index], creator, columns, connection)
        }
        return added.compactMap(\.self)
    }

    /// One that waits for others. The function says which of them isn't there, and 409 where its key is in use.
    private static func addWaiting(
        _ draft: Draft, _ columns: String, _ connection: isolated Connection
    ) throws -> Added {
        if draft.uniqueKey != nil, let text = try holder(of: draft, columns, connection) {
            return Added(text: text, isDuplicate: true)
        }
        let job = LinkedJob(
            type: draft.type, payload: draft.payload, after: draft.after.map(\.text),
            onDependencyFailure: draft.onDependencyFailure, queue: draft.queue,
            priority: Priority(draft.priority) ?? .normal, scheduledFor: draft.scheduledFor,
            maxAttempts: draft.maxAttempts, timeout: draft.timeoutSeconds.map { .seconds($0) },
            uniqueKey: draft.uniqueKey)
        let added = try connection.execute(
            """
            /* jobworker:api.jobs.add_waiting */
            SELECT id FROM jobworker.add_jobs(\(draft.workspaceID), \(try LinkedJob.list([job])))
            """)
        guard let row = added.first else { throw APIError.missing }
        let id: UUID = try row.decode("id")
        let shown = try connection.execute(
            """
            /* jobworker:api.jobs.waiting */
            SELECT row_to_json(shown)::text AS row
            FROM (SELECT \(sql: columns) FROM public.jobs WHERE id = \(id)) AS shown
            """)
        guard let text = try shown.json().first else { throw APIError.missing }
        return Added(text: text)
    }

    private static func addUnique(
        _ draft: Draft, _ creator: UUID?, _ columns: String, _ connection: isolated Connection
    ) throws -> Added {
        // The holder of a key may end between the insert and the look-up: then try again.
        for _ in 0..<5 {
            if let text = try insert([draft], creator, columns, connection).first { return Added(text: text) }
            if let text = try holder(of: draft, columns, connection) { return Added(text: text, isDuplicate: true) }
        }
        throw APIError(.conflict, code: "conflict", "The unique key kept changing hands. Try again.")
    }

    /// The active job with the same unique key, as the answer has it. Relies on `jobs_unique_key`.
    private static func holder(
        of draft: Draft, _ columns: String, _ connection: isolated Connection
    ) throws -> String? {
        try connection.execute(
            """
            /* jobworker:api.jobs.holder */
            SELECT (to_jsonb(shown) || '{"duplicate": true}')::text AS row
            FROM (SELECT \(sql: columns) FROM public.jobs
                  WHERE workspace_id = \(draft.workspaceID) AND job_type = \(draft.type)
                    AND unique_key = \(draft.uniqueKey) AND status IN ('pending', 'blocked', 'processing')) AS shown
            """
        ).json().first
    }

    private static func insert(
        _ drafts: [Draft], _ creator: UUID?, _ columns: String, _ connection: isolated Connection
    ) throws -> [String] {
        try connection.execute(
            """
            /* jobworker:api.jobs.add */
            WITH added AS (
                INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue, priority, scheduled_for,
                                         max_attempts, timeout_seconds, unique_key, created_by)
                SELECT workspace_id, job_type, payload, job_queue, priority, scheduled_for, max_attempts,
                       timeout_seconds, unique_key, \(creator)
                FROM unnest(
                    \(drafts.map(\.workspaceID)), \(drafts.map(\.type)), \(drafts.map(\.payload)),
                    \(drafts.map(\.queue)), \(drafts.map(\.priority)), \(NullableArray(drafts.map(\.scheduledFor))),
                    \(drafts.map(\.maxAttempts)), \(NullableArray(drafts.map(\.timeoutSeconds))),
                    \(NullableArray(drafts.map(\.uniqueKey)))) WITH ORDINALITY
                    AS given (workspace_id, job_type, payload, job_queue, priority, scheduled_for, max_attempts,
                              timeout_seconds, unique_key, place)
                ORDER BY place
                ON CONFLICT DO NOTHING
                RETURNING *
            )
            SELECT row_to_json(shown)::text AS row FROM (SELECT \(sql: columns) FROM added AS jobs) AS shown
            """
        ).json()
    }

    private func replay(_ request: APIRequest) async throws -> Response {
        let id = try request.id()
        let payload = request.document?["payload"].map { JSONText($0.text) }
        return try await database.change(request, of: "replay") { connection in
            Reply(
                try JobRoutes.changed("jobworker.replay_job(\(id), \(payload))", connection),
                status: .created)
        }
    }
}
