package import FoundationEssentials
package import JobWorker
package import Postgres

/// What a test asks the database, and what it finds there.
extension TestDatabase {
    @discardableResult
    package func query(_ statement: Statement) async throws -> Rows {
        try await pool.query(statement)
    }

    /// The one value that a query for a single field gives; `nil` for NULL and for no row.
    package func value<Value: PostgresDecodable>(
        _ statement: Statement, as type: Value.Type = Value.self
    ) async throws -> Value? {
        guard let row = try await pool.query(statement).first, let column = row.texts.first?.column else { return nil }
        return try row.decodeIfPresent(column, as: type)
    }

    /// Several statements of plain SQL.
    package func run(_ sql: String) async throws {
        try await pool.withConnection { try await $0.runScript(sql) }
    }

    package func count(_ condition: String, of table: String = "public.jobs") async throws -> Int {
        try await value("SELECT count(*) FROM \(sql: table) WHERE \(sql: condition)") ?? 0
    }

    package func job(_ id: UUID) async throws -> JobRow {
        let rows = try await query(
            """
            SELECT *, extract(epoch FROM next_retry_at - now())::float8 AS due_in,
                   extract(epoch FROM scheduled_for - now())::float8 AS scheduled_in
            FROM public.jobs WHERE id = \(id)
            """)
        guard let row = rows.first else { throw MissingRow(id: id) }
        return try JobRow(row)
    }

    /// The rows of a job's log, oldest first.
    package func logs(of id: UUID) async throws -> [JobLogRow] {
        try await query(
            "SELECT log_level, message, metadata FROM public.job_logs WHERE job_id = \(id) ORDER BY created_at, seq"
        ).map { row in
            JobLogRow(
                level: try row.decode("log_level"), message: try row.decode("message"),
                metadata: try row.decodeIfPresent("metadata", as: JSONText.self)?.decode())
        }
    }
}

package struct MissingRow: Error {
    package let id: UUID
}

package struct JobLogRow: Sendable, Equatable {
    package let level: String
    package let message: String
    package let metadata: JSONValue?

    package init(level: String, message: String, metadata: JSONValue?) {
        self.level = level
        self.message = message
        self.metadata = metadata
    }
}

/// A row of `jobs`, as far as tests ask for it.
package struct JobRow: Sendable {
    package let status: String?
    package let queue: String?
    package let priority: Int?
    package let attempts: Int?
    package let maxAttempts: Int?
    package let progress: String?
    package let result: String?
    package let errorMessage: String?
    package let errorStack: String?
    package let createdAt: Timestamp?
    package let scheduledFor: Timestamp?
    package let startedAt: Timestamp?
    package let completedAt: Timestamp?
    package let failedAt: Timestamp?
    package let nextRetryAt: Timestamp?
    /// Seconds until `next_retry_at`, by the database's clock.
    package let retryIn: Double?
    package let retryDelay: Int?
    package let workerID: String?
    package let heartbeatAt: Timestamp?
    package let leaseToken: Int64?
    package let leaseIsOpen: Bool
    package let workerDeaths: Int
    package let snoozedSince: Timestamp?
    package let uniqueKey: String?
    package let insertedBy: String?

    fileprivate init(_ row: Row) throws(PostgresError) {
        status = try row.decodeIfPresent("status")
        queue = try row.decodeIfPresent("job_queue")
        priority = try row.decodeIfPresent("priority")
        attempts = try row.decodeIfPresent("attempts")
        maxAttempts = try row.decodeIfPresent("max_attempts")
        progress = try row.decodeIfPresent("progress")
        result = try row.decodeIfPresent("result")
        errorMessage = try row.decodeIfPresent("error_message")
        errorStack = try row.decodeIfPresent("error_stack")
        createdAt = try row.decodeIfPresent("created_at")
        scheduledFor = try row.decodeIfPresent("scheduled_for")
        startedAt = try row.decodeIfPresent("started_at")
        completedAt = try row.decodeIfPresent("completed_at")
        failedAt = try row.decodeIfPresent("failed_at")
        nextRetryAt = try row.decodeIfPresent("next_retry_at")
        retryIn = try row.decodeIfPresent("due_in")
        retryDelay = try row.decodeIfPresent("retry_delay_seconds")
        workerID = try row.decodeIfPresent("worker_id")
        heartbeatAt = try row.decodeIfPresent("worker_heartbeat_at")
        leaseToken = try row.decodeIfPresent("lease_token")
        leaseIsOpen = try row.decode("lease_open")
        workerDeaths = try row.decode("worker_deaths")
        snoozedSince = try row.decodeIfPresent("snoozed_since")
        uniqueKey = try row.decodeIfPresent("unique_key")
        insertedBy = try row.decodeIfPresent("inserted_by")
    }
}
