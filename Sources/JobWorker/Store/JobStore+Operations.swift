package import FoundationEssentials
package import Postgres

/// A change of many jobs that the workers carry out, some at a time: a row of `job_operations`.
package struct Operation: Sendable {
    package enum Action: String, Sendable, CaseIterable {
        case retry, replay, discard, deadLetter = "dead_letter"
    }

    package let id: UUID
    package let workspaceID: UUID?
    package let action: String
    /// `running`, `paused`, `stopped` by its own rule, `done` or `aborted`.
    package let state: String
    package let stateReason: String?
    package let total: Int
    /// Items done with: changed or skipped.
    package let taken: Int
    package let changed: Int
    package let skipped: Int
    /// Of the jobs it started, those that have completed.
    package let succeeded: Int
    package let failed: Int
    /// Jobs a second; `nil` for no limit.
    package let rate: Double?
    package let canary: Int?
    /// Percent of the jobs that have ended.
    package let stopOnErrors: Double?
    package let reason: String?
    package let actor: String
    package let createdAt: Timestamp
    package let endedAt: Timestamp?
    package let asOf: Timestamp
    /// The row as JSON, without what only the workers need.
    package let json: JSONText

    package var isOver: Bool { state == "done" || state == "aborted" }

    /// What a statement selects, from `job_operations AS operation`.
    package static let columns = """
        operation.id, operation.workspace_id, operation.action, operation.state, operation.state_reason,
        operation.total, operation.taken, operation.changed, operation.skipped, operation.succeeded, operation.failed,
        operation.rate, operation.canary, operation.stop_on_errors, operation.reason, operation.actor,
        operation.created_at, operation.ended_at, clock_timestamp() AS as_of,
        (to_jsonb(operation) - '{credit,stepped_at,is_canary_over,member,payload}'::text[]) AS json
        """

    package init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        workspaceID = try row.decodeIfPresent("workspace_id")
        action = try row.decode("action")
        state = try row.decode("state")
        stateReason = try row.decodeIfPresent("state_reason")
        total = try row.decode("total")
        taken = try row.decode("taken")
        changed = try row.decode("changed")
        skipped = try row.decode("skipped")
        succeeded = try row.decode("succeeded")
        failed = try row.decode("failed")
        rate = try row.decodeIfPresent("rate")
        canary = try row.decodeIfPresent("canary")
        stopOnErrors = try row.decodeIfPresent("stop_on_errors")
        reason = try row.decodeIfPresent("reason")
        actor = try row.decode("actor")
        createdAt = try row.decode("created_at")
        endedAt = try row.decodeIfPresent("ended_at")
        asOf = try row.decode("as_of")
        json = try row.decode("json")
    }
}

/// How an operation goes about its jobs.
package struct OperationPlan: Sendable {
    package struct Change: Sendable {
        package let path: [String]
        package let value: JSONText

        package init(path: [String], value: JSONText) { (self.path, self.value) = (path, value) }
    }

    /// Of a replay: in place of each job's own payload.
    package var payload: JSONText?
    /// Of a replay: values at paths of the payload.
    package var changes: [Change] = []
    /// Jobs a second.
    package var rate: Double?
    /// So many first; the rest once all of them have ended well enough.
    package var canary: Int?
    /// Percent.
    package var stopOnErrors: Double?

    package init() {}

    /// Whether it asks for anything that only an operation can give.
    package var isDurable: Bool { rate != nil || canary != nil || stopOnErrors != nil }

    /// As `jobworker.start_operation` takes it.
    package var options: Fragment {
        let paths = changes.map { "{" + $0.path.map(Self.quoted).joined(separator: ",") + "}" }
        let values = changes.map(\.value.text)
        return """
            jsonb_build_object('rate', \(rate), 'canary', \(canary), 'stop_on_errors', \(stopOnErrors),
                'payload', \(payload)::jsonb, 'changes', coalesce((
                    SELECT jsonb_agg(jsonb_build_object('path', given.path::text[], 'value', given.value::jsonb)
                                     ORDER BY given.number)
                    FROM unnest(\(paths), \(values)) WITH ORDINALITY AS given (path, value, number)), '[]'))
            """
    }

    private static func quoted(_ part: String) -> String {
        "\"" + part.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}

extension JobStore {
    /// Jobs of one operation.
    package static let operationJobsMax = 1_000_000

    /// Begins an operation on all jobs that a condition means now, oldest first. Run within a transaction that says for
    /// whom; as a member the policies decide which jobs are seen, and 42501 comes where they are not of one workspace
    /// of which the member is an admin.
    package static func start(
        _ action: Operation.Action, where condition: Fragment, _ plan: OperationPlan,
        _ connection: isolated Connection
    ) throws(PostgresError) -> Operation {
        let rows = try connection.execute(
            """
            /* jobworker:operations.start */
            SELECT \(sql: Operation.columns)
            FROM jobworker.start_operation(\(action.rawValue),
                ARRAY(SELECT jobs.id FROM public.jobs WHERE \(condition)
                      ORDER BY jobs.created_at, jobs.id LIMIT \(operationJobsMax)),
                \(plan.options)) AS operation
            """)
        guard let row = rows.first else {
            throw PostgresError(
                .malformed, operation: "jobworker:operations.start", message: "the statement gave no row")
        }
        return try Operation(row)
    }

    package func start(
        _ action: Operation.Action, where condition: Fragment, _ plan: OperationPlan, by requester: Requester
    ) async throws -> Operation {
        try await pool.transaction { connection in
            try connection.execute(requester.statement)
            return try Self.start(action, where: condition, plan, connection)
        }
    }

    /// The newest first. Relies on `job_operations_newest`.
    package func operations(limit: Int = 50) async throws(PostgresError) -> [Operation] {
        let rows = try await pool.query(
            """
            /* jobworker:operations.list */
            SELECT \(sql: Operation.columns) FROM public.job_operations AS operation
            ORDER BY operation.created_at DESC, operation.id DESC LIMIT \(limit)
            """)
        var operations: [Operation] = []
        for row in rows { operations.append(try Operation(row)) }
        return operations
    }

    package func operation(_ id: UUID) async throws(PostgresError) -> Operation? {
        let rows = try await pool.query(
            """
            /* jobworker:operations.show */
            SELECT \(sql: Operation.columns) FROM public.job_operations AS operation WHERE operation.id = \(id)
            """)
        guard let row = rows.first else { return nil }
        return try Operation(row)
    }

    /// Jobs that an operation skipped, and why. Relies on `job_operation_items_skipped`.
    package func skipped(by operation: UUID, limit: Int = 10) async throws(PostgresError) -> [(job: UUID, note: String)]
    {
        let rows = try await pool.query(
            """
            /* jobworker:operations.skipped */
            SELECT job_id, coalesce(note, '') AS note FROM public.job_operation_items
            WHERE operation_id = \(operation) AND state = 'skipped' ORDER BY position LIMIT \(limit)
            """)
        var skipped: [(job: UUID, note: String)] = []
        for row in rows { skipped.append((try row.decode("job_id"), try row.decode("note"))) }
        return skipped
    }

    /// - Parameter wish: `pause`, `resume` or `abort`.
    /// - Throws: `JobChangeRefusal.conflict` where there is none, or its state doesn't allow it; `PostgresError`.
    package func control(_ operation: UUID, _ wish: String, by requester: Requester) async throws -> Operation? {
        do {
            return try await pool.transaction { connection in
                try connection.execute(requester.statement)
                let rows = try connection.execute(
                    """
                    /* jobworker:operations.control */
                    SELECT \(sql: Operation.columns) FROM jobworker.control_operation(\(operation), \(wish)) AS operation
                    """)
                return try rows.first.map { try Operation($0) }
            }
        } catch let error as PostgresError {
            switch error.sqlState {
            case "P0002": return nil
            case "JW409": throw JobChangeRefusal.conflict(error.message)
            default: throw error
            }
        }
    }

    /// A step of the operation that waited longest for one. Relies on `job_operations_running`.
    /// - Parameter rest: None is stepped that somebody has stepped within this time.
    @discardableResult
    package func stepOperations(after rest: Duration = .zero) async throws(PostgresError) -> OperationStep {
        let rows = try await pool.query(
            """
            /* jobworker:operations.step */
            WITH waiting AS MATERIALIZED (
                -- Locked, so that the step finds none that somebody else is at. The clock may have jumped back.
                SELECT id FROM public.job_operations
                WHERE state = 'running' AND stepped_at NOT BETWEEN clock_timestamp() - \(rest) AND clock_timestamp()
                ORDER BY stepped_at LIMIT 1
                FOR NO KEY UPDATE SKIP LOCKED
            ),
            step AS MATERIALIZED (
                SELECT CASE WHEN EXISTS (SELECT FROM waiting) THEN jobworker.step_operations() END AS has_more
            )
            SELECT has_more IS NOT NULL AS is_taken,
                   coalesce(has_more, EXISTS (SELECT FROM public.job_operations WHERE state = 'running')) AS has_more
            FROM step
            """)
        guard let row = rows.first else { return OperationStep() }
        return OperationStep(isTaken: try row.decode("is_taken"), hasMore: try row.decode("has_more"))
    }
}

/// What became of a step of operations.
package struct OperationStep: Sendable, Hashable {
    /// False where others have seen to all operations, or none runs.
    package var isTaken = false
    /// There is another step to take soon.
    package var hasMore = false

    package init(isTaken: Bool = false, hasMore: Bool = false) {
        self.isTaken = isTaken
        self.hasMore = hasMore
    }
}
