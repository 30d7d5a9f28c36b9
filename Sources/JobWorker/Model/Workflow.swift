package import FoundationEssentials
package import Postgres

/// Jobs that were added together and wait for each other.
package struct Workflow: Sendable {
    package enum State: String, Sendable, CaseIterable {
        /// One of its jobs may still run.
        case running
        case completed
        /// Nothing runs any more, and at least one job failed.
        case failed
        /// As `failed`, but none failed and some were cancelled.
        case cancelled
    }

    package let id: UUID
    package let workspaceID: UUID
    package let name: String?
    /// `nil`: none of its jobs is left.
    package let state: State?
    package let createdAt: Timestamp
    /// When the database told this.
    package let asOf: Timestamp

    /// What a statement selects from a row of `job_workflows`.
    static let columns = """
        job_workflows.id, job_workflows.workspace_id, job_workflows.name, job_workflows.created_at,
        jobworker.workflow_state(job_workflows.id) AS state, clock_timestamp() AS as_of
        """

    init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        workspaceID = try row.decode("workspace_id")
        name = try row.decodeIfPresent("name")
        state = try row.decodeIfPresent("state", as: String.self).flatMap { State(rawValue: $0) }
        createdAt = try row.decode("created_at")
        asOf = try row.decode("as_of")
    }
}

/// One job of a workflow, and what it waits for.
package struct WorkflowStep: Sendable {
    package let id: UUID
    package let name: String?
    package let type: String
    package let status: String
    package let percentage: Int?
    package let errorMessage: String?
    /// Jobs that it waits for, or waited for; those of other workflows among them.
    package let parents: [UUID]
    /// For each parent: `cancel` or `run`.
    package let policies: [String]

    package var title: String { name ?? id.text }

    init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        name = try row.decodeIfPresent("workflow_step")
        type = try row.decode("job_type")
        status = try row.decodeIfPresent("status") ?? "without a status"
        percentage = try row.decodeIfPresent("percentage")
        errorMessage = try row.decodeIfPresent("error_message")
        parents = try row.decode("parents")
        policies = try row.decode("policies")
    }
}
