import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// The same done to many jobs at once.
struct BulkRoutes: Sendable {
    /// More are left to the next request.
    private static let jobsMax = 10_000
    /// Jobs of one transaction: their rows are locked until it ends, and a worker's sign of life waits for them.
    private static let chunkSize = 100
    /// No transaction is begun after so long.
    private static let timeMax = Duration.seconds(20)

    private let database: APIDatabase

    init(database: APIDatabase) { self.database = database }

    var routes: [Route] {
        [
            Route(
                .post, "/api/jobs/bulk", access: .members,
                "Cancels, retries, replays, deletes or sets aside many jobs. For admins.",
                details: """
                    By ids, or all that a filter means; a filter names at least one condition. Without a status it \
                    means those to which the action applies: `cancel` what waits or runs, `retry`, `replay` and \
                    `dead_letter` what failed, `delete` what is finished. Jobs whose state doesn't allow it are passed \
                    over. Of more than \(Self.jobsMax) jobs, or after \(Self.timeMax.components.seconds) s, `more` is \
                    true: send it again, with another `Idempotency-Key`. The same request with the same key goes on \
                    where it was interrupted, and replays no job twice.

                    With `rate`, `canary`, `stop_on_errors`, `payload` or `set` it becomes an operation, which the \
                    workers carry out: the answer comes at once, with `operation`. A member's is on jobs of one \
                    workspace.
                    """,
                parameters: [.idempotencyKey],
                body: Schema(
                    .byMember(
                        "ids", Self.body(.init("ids", Schema(.list(Schema(.uuid), 1...1000)), isRequired: true)),
                        Self.body(.init("filter", JobSelection.schema, isRequired: true)))),
                answers: [
                    Answer(
                        "How many there were, and how many were changed.",
                        Schema(
                            .object(
                                [
                                    .init("matched", JobDocument.whole, isRequired: true),
                                    .init("changed", JobDocument.whole, isRequired: true),
                                    .init("more", Schema(.boolean), isRequired: true),
                                    .init("operation", OperationRoutes.operation),
                                ], isOpen: true)))
                ], refusals: [.forbidden],
                audit: [
                    "job.cancel", "job.retry", "job.replay", "job.delete", "job.set_aside", "dead_letter.change",
                    "operation.start",
                ],
                handler: change)
        ]
    }

    private enum Action: String, CaseIterable {
        case cancel, retry, replay, delete, deadLetter = "dead_letter"

        /// `nil` for what the workers don't carry out bit by bit.
        var operation: Operation.Action? {
            switch self {
            case .cancel: nil
            case .retry: .retry
            case .replay: .replay
            case .delete: .discard
            case .deadLetter: .deadLetter
            }
        }

        /// What a filter without a status means.
        var statuses: [JobStatus] {
            switch self {
            case .cancel: [.pending, .blocked, .processing]
            case .retry, .replay, .deadLetter: [.failed]
            case .delete: JobStatus.allCases.filter(\.isFinal)
            }
        }
    }

    /// Begins an operation, or only counts its jobs.
    private func begin(
        _ request: APIRequest, _ action: Operation.Action, _ condition: Fragment, _ plan: OperationPlan, isDryRun: Bool
    ) async throws -> Response {
        let isMember = if case .member = request.caller { true } else { false }
        let own: Fragment =
            isMember ? "jobs.workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces()))" : "true"
        return try await database.change(request, of: "bulk") { connection in
            let rows = try connection.execute(
                """
                /* jobworker:api.bulk.count */
                SELECT count(*) AS count FROM public.jobs WHERE \(condition) AND \(own)
                """)
            let count = try rows.first?.decode("count", as: Int.self) ?? 0
            guard !isDryRun, count > 0 else { return Reply(#"{"matched":\#(count),"changed":0,"more":false}"#) }
            let operation = try JobStore.start(action, where: "\(condition) AND \(own)", plan, connection)
            return Reply(
                #"{"matched":\#(operation.total),"changed":0,"more":false,"operation":\#(operation.json.text)}"#)
        }
    }

    private static func body(_ which: Schema.Property) -> Schema {
        Schema(
            .object(
                [.init("action", Schema(.choice(Action.allCases.map(\.rawValue))), isRequired: true), which, .reason]
                    + OperationPlan.properties,
                isOpen: false))
    }

    private func change(_ request: APIRequest) async throws -> Response {
        guard let document = request.document, let action = document["action"]?.string.flatMap(Action.init) else {
            throw APIError.invalidParameter("the body", "is missing")
        }
        let ids = document["ids"]?.elements?.compactMap { $0.string.flatMap { UUID(uuidString: $0) } }
        var filter = document["filter"].map(JobSelection.filter) ?? JobFilter()
        if ids == nil, filter.statuses.isEmpty { filter.statuses = action.statuses }
        try await checkRights(request, filter)
        let plan = try OperationPlan(document)
        let isDryRun = document["dry_run"] == .bool(true)
        if isDryRun || plan.isDurable || plan.payload != nil || !plan.changes.isEmpty {
            guard let change = action.operation ?? (isDryRun ? .retry : nil) else {
                throw APIError(
                    .unprocessableContent, code: "invalid_body", "rate, canary and stop_on_errors don't go with cancel."
                )
            }
            let condition: Fragment = ids.map { "jobs.id = ANY (\($0))" } ?? filter.condition
            return try await begin(request, change, condition, plan, isDryRun: isDryRun)
        }
        return try await work(request, action, ids.map { .ids($0) } ?? .filter(filter))
    }

    private func checkRights(_ request: APIRequest, _ filter: JobFilter) async throws {
        guard case .member = request.caller else { return }
        let workspaceID = filter.workspaceID
        let isAdmin = try await database.read(request) { connection in
            try connection.execute(
                """
                /* jobworker:api.bulk.rights */
                SELECT FROM jobworker.my_admin_workspaces() AS mine (id)
                WHERE \(workspaceID) IS NULL OR mine.id = \(workspaceID)
                """
            ).isEmpty == false
        }
        guard isAdmin else { throw APIError.adminsOnly }
    }

    private enum Selection: Sendable {
        case ids([UUID])
        case filter(JobFilter)
    }

    /// How far a request has come.
    private struct Progress: Codable, Sendable {
        var matched = 0
        var changed = 0
        /// Where it goes on.
        var cursor: String?
    }

    private func work(_ request: APIRequest, _ action: Action, _ selection: Selection) async throws -> Response {
        let isMember = if case .member = request.caller { true } else { false }
        let own: Fragment =
            isMember ? "jobs.workspace_id = ANY (ARRAY(SELECT jobworker.my_admin_workspaces()))" : "true"
        let scope: JobScope = isMember ? .administered : .everything
        let end = ContinuousClock.now + Self.timeMax
        return try await database.change(request, of: "bulk", from: Progress()) { progress, connection in
            var progress = progress
            let place = progress.cursor.flatMap { JobCursor(text: $0) }
            let selected: Fragment =
                switch selection {
                case .filter(let filter):
                    JobStore.newest(filter, after: place, limit: Self.chunkSize, in: scope)
                case .ids(let ids):
                    """
                    FROM public.jobs
                    WHERE jobs.id = ANY (\(ids)) AND \(place?.condition ?? "true")
                      AND \(own)
                    ORDER BY jobs.created_at DESC, jobs.id DESC LIMIT \(Self.chunkSize)
                    """
                }
            let filter = if case .filter(let filter) = selection { filter } else { JobFilter() }
            try connection.execute(JobStore.listPlanning(of: filter, in: scope))
            let rows = try connection.execute(
                """
                /* jobworker:api.bulk.select */
                SELECT jobs.id, jobs.created_at \(selected)
                """)
            if let last = rows.last {
                let ids = try rows.map { try $0.decode("id", as: UUID.self) }
                let result = try connection.execute(
                    """
                    /* jobworker:api.bulk.change */
                    SELECT jobworker.change_jobs(\(action.rawValue), \(ids)) AS changed
                    """)
                progress.matched += rows.count
                progress.changed += try result.first?.decode("changed") ?? 0
                progress.cursor =
                    JobCursor(createdAt: try last.decodeIfPresent("created_at"), id: try last.decode("id")).text
            }
            let isDone = rows.count < Self.chunkSize
            guard isDone || progress.matched >= Self.jobsMax || ContinuousClock.now >= end else {
                return (progress, nil)
            }
            return (
                progress,
                Reply(#"{"matched":\#(progress.matched),"changed":\#(progress.changed),"more":\#(!isDone)}"#)
            )
        }
    }
}

extension APIError {
    static let adminsOnly = APIError(.forbidden, code: "forbidden", "This is for admins of the workspace.")
}
