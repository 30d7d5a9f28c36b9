import FoundationEssentials
import Postgres

/// A statement that adds jobs, for a transaction of the caller's own: jobs and data then come about together, or not at
/// all.
///
///     let insertion = try JobInsertion([NewJob(workspaceID: workspace, type: "count_words", payload: payload)])
///     try await connection.query(insertion.sql, insertion.parameters)     // whatever the driver calls it
///
/// The parameters are texts. The statement returns the `id` of each job that was added; one whose unique key is held by
/// another job is left out, and so is one whose id is there already.
public struct JobInsertion: Sendable, Hashable {
    public let jobs: [NewJob]
    /// With the placeholder `$1`, which the statement itself casts.
    public let sql: String
    /// The values of the placeholders, all texts.
    public let parameters: [String]

    /// - Throws: `EncodingError`.
    public init(_ jobs: [NewJob]) throws {
        self.jobs = jobs
        sql = """
            /* jobworker:enqueue */ \
            INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, priority, scheduled_for, max_attempts, \
            timeout_seconds, unique_key, created_by) \
            SELECT id, workspace_id, job_type, job_queue, payload::jsonb, priority, scheduled_for, max_attempts, timeout_seconds, \
            unique_key, created_by \
            FROM jsonb_to_recordset($1::text::jsonb) AS given (id uuid, workspace_id uuid, job_type text, job_queue text, \
            payload text, priority integer, scheduled_for timestamptz, max_attempts integer, timeout_seconds integer, \
            unique_key text, created_by uuid) \
            ON CONFLICT DO NOTHING RETURNING id
            """
        parameters = ["[" + (try jobs.map { try JobInsertion.row($0) }.joined(separator: ",")) + "]"]
    }

    /// The payload is a string in it, which the statement casts: it keeps every digit, and one that isn't a JSON value is
    /// refused and says nothing about the row.
    private static func row(_ job: NewJob) throws -> String {
        var members: [String: JSONValue] = [
            "id": .string(job.id.text), "workspace_id": .string(job.workspaceID.text), "job_type": .string(job.type),
            "job_queue": .string(job.queue), "priority": .integer(Int64(job.priority.rawValue)),
            "max_attempts": .integer(Int64(job.maxAttempts)), "payload": .string(job.payload.text),
        ]
        members["scheduled_for"] = job.scheduledFor.map { .string($0.postgresText) }
        members["timeout_seconds"] = job.timeout.map { .integer($0.components.seconds) }
        members["unique_key"] = job.uniqueKey.map { .string($0) }
        members["created_by"] = job.createdBy.map { .string($0.text) }
        return try JSONText(encoding: JSONValue.object(members)).text
    }
}
