package import FoundationEssentials
package import Postgres

/// A row of `job_logs`.
package struct JobLogRecord: Sendable, Hashable {
    package let id: UUID
    /// As stored: `debug`, `info`, `warn`, `error`, and `warning` in older rows.
    package let level: String
    package let message: String
    package let metadata: JSONText?
    package let createdAt: Timestamp?
    /// Which of two rows of one transaction came first.
    package let seq: Int

    package init(
        id: UUID = UUID(), level: JobLogLevel, message: String, metadata: JSONText? = nil, createdAt: Timestamp?,
        seq: Int
    ) {
        self.id = id
        self.level = level.rawValue
        self.message = message
        self.metadata = metadata
        self.createdAt = createdAt
        self.seq = seq
    }

    /// - Parameter storedLevel: As in the table.
    package init(
        id: UUID, storedLevel: String, message: String, metadata: JSONText?, createdAt: Timestamp?, seq: Int
    ) {
        self.id = id
        level = storedLevel
        self.message = message
        self.metadata = metadata
        self.createdAt = createdAt
        self.seq = seq
    }

    init(_ row: Row) throws(PostgresError) {
        id = try row.decode("id")
        level = try row.decode("log_level")
        message = try row.decode("message")
        metadata = try row.decodeIfPresent("metadata")
        createdAt = try row.decodeIfPresent("created_at")
        seq = try row.decode("seq")
    }
}

/// A place in a job's log: what follows it is newer.
package struct JobLogCursor: Sendable, Hashable {
    package let createdAt: Timestamp
    package let seq: Int

    package init(createdAt: Timestamp, seq: Int) {
        self.createdAt = createdAt
        self.seq = seq
    }
}

extension JobStore {
    /// The newest entries of a job's log, oldest of them first. Relies on `job_logs_job`.
    /// - Parameter level: The lowest level wanted.
    package func lastLogs(of job: UUID, level: JobLogLevel = .debug, limit: Int) async throws(PostgresError)
        -> [JobLogRecord]
    {
        let rows = try await pool.query(
            """
            /* jobworker:logs.last */
            SELECT id, log_level, message, metadata, created_at, seq
            FROM public.job_logs
            WHERE job_id = \(job) AND (\(level == .debug) OR log_level = ANY (\(JobStore.spellings(from: level))))
            ORDER BY created_at DESC, seq DESC
            LIMIT \(limit)
            """)
        var entries: [JobLogRecord] = []
        for row in rows.reversed() { entries.append(try JobLogRecord(row)) }
        return entries
    }

    /// The entries of a job's log after a place, oldest first. Relies on `job_logs_job`.
    ///
    /// An entry takes the time at which its transaction began, so one may appear shortly before a place already passed.
    package func logs(of job: UUID, after cursor: JobLogCursor, level: JobLogLevel = .debug, limit: Int)
        async throws(PostgresError) -> [JobLogRecord]
    {
        let rows = try await pool.query(
            """
            /* jobworker:logs.after */
            SELECT id, log_level, message, metadata, created_at, seq
            FROM public.job_logs
            WHERE job_id = \(job) AND (created_at, seq) > (\(cursor.createdAt), \(cursor.seq))
              AND (\(level == .debug) OR log_level = ANY (\(JobStore.spellings(from: level))))
            ORDER BY created_at, seq
            LIMIT \(limit)
            """)
        var entries: [JobLogRecord] = []
        for row in rows { entries.append(try JobLogRecord(row)) }
        return entries
    }

    private static func spellings(from level: JobLogLevel) -> [String] {
        JobLogLevel.allCases.filter { $0 >= level }.flatMap { $0 == .warn ? ["warn", "warning"] : [$0.rawValue] }
    }
}
