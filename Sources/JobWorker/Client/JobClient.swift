public import FoundationEssentials
public import Postgres

/// Adds jobs, from a program that runs none.
///
///     let jobs = JobClient(database: "postgresql://application@host/application")
///     let added = try await jobs.enqueue("count_words", in: workspace, payload: CountWords.Payload(text: "one two"))
///
/// Connections are opened when they are needed, and tried again where they were lost. The jobs have the rights of the
/// login; a row of `jobs` is all there is to them, so that any other client may add one as well.
public struct JobClient: Sendable {
    private let pool: ConnectionPool
    private let ownsPool: Bool
    private let store: JobStore

    /// - Parameters:
    ///   - database: What libpq accepts as a connection string; "" for the environment's `PG*` variables.
    ///   - connectionsMax: Most connections at once; who asks for one more waits.
    public init(database: String, connectionsMax: Int = 2) {
        self.init(
            pool: ConnectionPool(
                ConnectionSettings(connectionString: database, applicationName: "jobworker client"),
                limit: max(1, connectionsMax)), ownsPool: true)
    }

    /// - Parameter pool: Shared with others; closed by whoever made it.
    public init(pool: ConnectionPool) { self.init(pool: pool, ownsPool: false) }

    private init(pool: ConnectionPool, ownsPool: Bool) {
        self.pool = pool
        self.ownsPool = ownsPool
        store = JobStore(pool: pool)
    }

    /// Adds jobs, all or none.
    ///
    /// Tried again where the connection is lost on the way: the jobs' ids make sure that none is added twice.
    /// - Returns: One entry for each job, in the order given.
    /// - Throws: `PostgresError`, and then none was added, unless its reason is `.connectionLost`: then nobody knows, and
    ///   the same jobs may be given again.
    @discardableResult
    public func enqueue(_ jobs: [NewJob]) async throws(PostgresError) -> [EnqueuedJob] {
        var backoff = Backoff()
        for _ in 0..<3 {
            do throws(PostgresError) {
                return try await store.enqueue(jobs)
            } catch {
                guard error.reason == .connectionLost, !Task.isCancelled else { throw error }
            }
            try? await Task.sleep(for: backoff.next())
        }
        return try await store.enqueue(jobs)
    }

    /// Adds a job.
    /// - Parameters:
    ///   - type: The value of `jobs.job_type`; any worker that serves it may run the job.
    ///   - workspace: Whose job it is.
    ///   - payload: Stored as JSON, 1 MiB at most.
    ///   - queue: Served by the workers that name it in their settings.
    ///   - priority: Of the due jobs those of higher priority start first.
    ///   - delay: Not before so long from now, by the database's clock.
    ///   - uniqueKey: While a job of this workspace and type with the same key waits or runs, no other is added.
    /// - Returns: Its id, or that of the job that holds the key.
    /// - Throws: `EncodingError`, `PostgresError`.
    @discardableResult
    public func enqueue(
        _ type: String, in workspace: UUID, payload: some Encodable, queue: String = "default",
        priority: Priority = .normal, after delay: Duration? = nil, uniqueKey: String? = nil
    ) async throws -> EnqueuedJob {
        var job = NewJob(
            workspaceID: workspace, type: type, payload: try JSONText(encoding: payload), queue: queue,
            priority: priority, uniqueKey: uniqueKey)
        if let delay { job.scheduledFor = try await store.now().advanced(by: delay) }
        guard let added = try await enqueue([job]).first else {
            throw PostgresError(.malformed, operation: "jobworker:enqueue", message: "the database added no job")
        }
        return added
    }

    /// How a job stands now; `nil` where there is none, or none that the login may see.
    public func job(_ id: UUID) async throws(PostgresError) -> StoredJob? {
        try await store.storedJob(id)
    }

    /// Closes the client's own connections; a pool that was given stays open.
    public func close() async {
        if ownsPool { await pool.close() }
    }
}

/// A job as the table has it.
public struct StoredJob: Sendable, Hashable {
    public let id: UUID
    public let workspaceID: UUID?
    public let type: String
    /// `nil` for a status that this version doesn't know.
    public let status: JobStatus?
    /// Attempts that were started.
    public let attempts: Int
    public let payload: JSONText
    /// As the last attempt told it; `{}` before.
    public let progress: JSONText?
    public let result: JSONText?
    /// Why the last attempt failed, for people.
    public let errorMessage: String?
}
