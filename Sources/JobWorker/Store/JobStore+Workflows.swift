package import FoundationEssentials
package import Postgres

/// Why jobs that wait for each other can't be added or changed. Nothing was changed.
package enum WorkflowRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    case notFound(UUID)
    /// What is wrong with their description; a sentence.
    case invalid(String)
    /// Their state doesn't allow it; a sentence.
    case conflict(String)

    package var description: String {
        switch self {
        case .notFound(let id): "there is no workflow or workspace \(id.text)"
        case .invalid(let sentence), .conflict(let sentence): sentence
        }
    }
}

extension JobStore {
    /// Largest payload that a worker takes, in bytes.
    static let payloadBytesMax = 1 << 20

    /// Adds a workflow with its jobs, all or none.
    /// - Parameter jobs: `LinkedJob.list`, or a document that says the same.
    /// - Returns: The workflow's id.
    /// - Throws: `WorkflowRefusal`, `PostgresError`.
    package func addWorkflow(
        _ jobs: Fragment, named name: String?, in workspace: UUID, by requester: Requester?
    ) async throws -> UUID {
        try await linking(workspace, requester) { connection in
            let rows = try connection.execute(
                "/* jobworker:workflows.add */ SELECT jobworker.add_workflow(\(workspace), \(jobs), \(name)) AS id")
            guard let row = rows.first else { throw WorkflowRefusal.notFound(workspace) }
            return try row.decode("id")
        }
    }

    /// The job of this name in a workflow; `nil` where there is none. Relies on `jobs_workflow_step`.
    package func step(_ name: String, ofWorkflow id: UUID) async throws(PostgresError) -> UUID? {
        try await pool.query(
            """
            /* jobworker:workflows.step */
            SELECT id FROM public.jobs WHERE workflow_id = \(id) AND workflow_step = \(name)
            """
        ).first?.decode("id")
    }

    /// Adds jobs that may wait for others, and belong to no workflow.
    /// - Returns: Their ids, in the order given.
    /// - Throws: `WorkflowRefusal`, `PostgresError`.
    package func add(_ jobs: [LinkedJob], in workspace: UUID, by requester: Requester?) async throws -> [UUID] {
        let description = try LinkedJob.list(jobs)
        return try await linking(workspace, requester) { connection in
            let rows = try connection.execute(
                """
                /* jobworker:jobs.add_linked */
                SELECT id FROM jobworker.add_jobs(\(workspace), \(description)) ORDER BY place
                """)
            var ids: [UUID] = []
            for row in rows { ids.append(try row.decode("id")) }
            return ids
        }
    }

    /// Adds jobs on behalf of a running one.
    /// - Parameter batch: The same batch is added once.
    /// - Returns: Their ids; `nil` where the claim is lost.
    func add(_ jobs: Fragment, from claim: Claim, batch: UUID) async throws(PostgresError) -> [UUID]? {
        let rows = try await pool.query(
            """
            /* jobworker:jobs.add_from */
            SELECT id FROM jobworker.add_jobs_from(\(claim.jobID), \(claim.token), \(batch), \(jobs))
            """)
        var ids: [UUID] = []
        for row in rows { ids.append(try row.decode("id")) }
        return ids.isEmpty ? nil : ids
    }

    /// The payload of a job with the results that it asks for.
    /// - Throws: `JobFailure`, which names a result that isn't there; `PostgresError`.
    func payloadWithResults(of claim: Claim) async throws -> JSONText {
        do {
            let rows = try await pool.query(
                """
                /* jobworker:results */
                SELECT jobworker.with_results(id, payload) AS payload FROM public.jobs WHERE id = \(claim.jobID)
                """)
            guard let row = rows.first else { throw JobFailure.permanent("The job is gone") }
            return try row.decode("payload")
        } catch let error as PostgresError where error.sqlState == "JW422" {
            throw JobFailure.permanent(error.message)
        }
    }

    /// Looks again at children that somebody had locked when a parent ended.
    package func settleBacklog() async throws(PostgresError) {
        _ = try await pool.query("/* jobworker:dependencies */ SELECT jobworker.settle_backlog()")
    }

    // MARK: Looking

    /// The newest workflows of a workspace, or of all. Relies on `job_workflows_newest` and `job_workflows_workspace`.
    package func workflows(in workspace: UUID? = nil, limit: Int) async throws(PostgresError) -> [Workflow] {
        let place: Fragment = workspace.map { "WHERE workspace_id = \($0)" } ?? ""
        let rows = try await pool.query(
            """
            /* jobworker:workflows.list */
            SELECT \(sql: Workflow.columns) FROM public.job_workflows \(place)
            ORDER BY created_at DESC, id DESC LIMIT \(limit)
            """)
        var workflows: [Workflow] = []
        for row in rows { workflows.append(try Workflow(row)) }
        return workflows
    }

    package func workflow(withID id: UUID) async throws(PostgresError) -> Workflow? {
        let rows = try await pool.query(
            """
            /* jobworker:workflows.show */
            SELECT \(sql: Workflow.columns) FROM public.job_workflows WHERE id = \(id)
            """)
        return try rows.first.map { row throws(PostgresError) in try Workflow(row) }
    }

    /// Its jobs, in the order in which they were added. Relies on `jobs_workflow` and the primary key of
    /// `job_dependencies`.
    package func steps(ofWorkflow id: UUID) async throws(PostgresError) -> [WorkflowStep] {
        let rows = try await pool.query(
            """
            /* jobworker:workflows.steps */
            SELECT jobs.id, workflow_step, job_type, status, left(error_message, 500) AS error_message,
                   CASE WHEN jsonb_typeof(progress -> 'percentage') = 'number'
                        THEN (progress ->> 'percentage')::numeric::int END AS percentage,
                   ARRAY(SELECT depends_on_job_id FROM public.job_dependencies WHERE job_id = jobs.id
                         ORDER BY depends_on_job_id) AS parents,
                   ARRAY(SELECT on_failure FROM public.job_dependencies WHERE job_id = jobs.id
                         ORDER BY depends_on_job_id) AS policies
            FROM public.jobs WHERE workflow_id = \(id)
            ORDER BY created_at, length(workflow_step), workflow_step, jobs.id
            """)
        var steps: [WorkflowStep] = []
        for row in rows { steps.append(try WorkflowStep(row)) }
        return steps
    }

    // MARK: Changing

    /// Cancels what hasn't ended of it.
    /// - Returns: How many jobs that were.
    /// - Throws: `WorkflowRefusal`, `PostgresError`.
    package func cancelWorkflow(_ id: UUID, by requester: Requester) async throws -> Int {
        try await change(
            id, by: requester, "/* jobworker:workflows.cancel */ SELECT jobworker.cancel_workflow(\(id)) AS jobs")
    }

    /// Runs again what failed or was cancelled of it; what completed stays.
    /// - Returns: How many jobs that are.
    /// - Throws: `WorkflowRefusal`, `PostgresError`.
    package func retryWorkflow(_ id: UUID, by requester: Requester) async throws -> Int {
        try await change(
            id, by: requester, "/* jobworker:workflows.retry */ SELECT jobworker.retry_workflow(\(id)) AS jobs")
    }

    private func change(_ id: UUID, by requester: Requester, _ statement: Statement) async throws -> Int {
        try await linking(id, requester) { connection in
            guard let row = try connection.execute(statement).first else { throw WorkflowRefusal.notFound(id) }
            return try row.decode("jobs")
        }
    }

    private func linking<Value: Sendable>(
        _ subject: UUID, _ requester: Requester?, _ body: @Sendable (isolated Connection) throws -> Value
    ) async throws -> Value {
        do {
            return try await pool.transaction { connection in
                if let requester { try connection.execute(requester.statement) }
                return try body(connection)
            }
        } catch let error as PostgresError {
            switch error.sqlState {
            case "P0002": throw WorkflowRefusal.notFound(subject)
            case "JW422", "22007", "22008": throw WorkflowRefusal.invalid(error.message)
            case "JW409": throw WorkflowRefusal.conflict(error.message)
            default: throw error
            }
        }
    }
}
