import FoundationEssentials
import Postgres

extension JobStore {
    /// What a claim's answer tells of the jobs that it took, in the order in which they are to start.
    static func claimedJobs(_ rows: some Collection<Row>) throws(PostgresError) -> [ClaimedJob] {
        guard let first = rows.first else { return [] }
        let columns = try ClaimedColumns(first)
        var claimed: [ClaimedJob] = []
        claimed.reserveCapacity(rows.count)
        for row in rows { claimed.append(try columns.job(row)) }
        // RETURNING promises no order.
        claimed.sort {
            (-$0.job.priority, $0.job.dueAt, $0.job.id) < (-$1.job.priority, $1.job.dueAt, $1.job.id)
        }
        return claimed
    }
}

/// Where in an answer what tells of a claimed job is.
private struct ClaimedColumns {
    let id, workspaceID: Column<UUID>
    let type, queue: Column<String>
    let payload: Column<JSONText>
    let payloadBytes, priority, attempts, maxAttempts, timeout: Column<Int>
    let createdAt, dueAt, startedAt: Column<Timestamp>
    let token: Column<Int64>
    let isSuspect, isRefused, hasParents: Column<Bool>

    init(_ row: Row) throws(PostgresError) {
        id = try row.column("id")
        workspaceID = try row.column("workspace_id")
        type = try row.column("job_type")
        queue = try row.column("queue")
        payload = try row.column("payload")
        payloadBytes = try row.column("payload_bytes")
        priority = try row.column("priority")
        attempts = try row.column("attempts")
        maxAttempts = try row.column("max_attempts")
        timeout = try row.column("timeout_seconds")
        createdAt = try row.column("created_at")
        dueAt = try row.column("due_at")
        startedAt = try row.column("started_at")
        token = try row.column("lease_token")
        isSuspect = try row.column("is_suspect")
        isRefused = try row.column("is_refused")
        hasParents = try row.column("has_parents")
    }

    func job(_ row: Row) throws(PostgresError) -> ClaimedJob {
        let payload = try row.decodeIfPresent(payload)
        let job = Job(
            id: try row.decode(id), workspaceID: try row.decode(workspaceID), type: try row.decode(type),
            queue: try row.decode(queue), payload: payload ?? JSONText("null"), priority: try row.decode(priority),
            attempt: try row.decode(attempts), maxAttempts: try row.decode(maxAttempts),
            timeout: try row.decodeIfPresent(timeout).map { .seconds($0) },
            // The application may write any time. One before our era must not cost the others of this claim their answer.
            createdAt: (try? row.decode(createdAt)) ?? .distantPast, dueAt: (try? row.decode(dueAt)) ?? .distantPast,
            startedAt: try row.decode(startedAt))
        var refusal: String?
        if payload == nil {
            let bytes = try row.decode(payloadBytes)
            refusal =
                "The payload has \(bytes) bytes, more than the worker accepts; store the data elsewhere and pass a reference"
        }
        if try row.decode(isRefused) {
            refusal = """
                Jobs of the type '\(job.type)' are run for operators only, and this one was added by a member of a \
                workspace. An operator can open the type with 'allow: members' in its handler's file, or add the job
                """
        }
        return ClaimedJob(
            job: job, claim: Claim(jobID: job.id, token: try row.decode(token)), isSuspect: try row.decode(isSuspect),
            refusal: refusal, hasParents: try row.decode(hasParents))
    }
}
