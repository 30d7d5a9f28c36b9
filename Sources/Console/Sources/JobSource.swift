package import FoundationEssentials
package import JobWorker

/// Where commands look jobs up and change them: the database, or a worker of this machine that asks it for them.
package protocol JobSource: Sendable {
    /// Newest first.
    func jobs(_ filter: JobFilter, after cursor: JobCursor?, limit: Int) async throws -> JobPage
    func count(_ filter: JobFilter) async throws -> Int
    /// In the order given; those that aren't there are left out.
    func jobs(withIDs ids: [UUID]) async throws -> [JobSummary]
    func job(withID id: UUID) async throws -> JobRecord?
    /// The newest rows of a log, oldest of them first.
    func lastLogs(of job: UUID, level: JobLogLevel, limit: Int) async throws -> [JobLogRecord]
    func logs(of job: UUID, after cursor: JobLogCursor, level: JobLogLevel, limit: Int) async throws -> [JobLogRecord]
    /// - Throws: `JobChangeRefusal` where its state doesn't allow it.
    func change(_ job: UUID, _ action: JobChanging.Action) async throws -> JobSummary
    func queues() async throws -> [QueueStatus]
    /// - Returns: Whether that changed anything.
    func setPaused(_ isPaused: Bool, queue: String) async throws -> Bool
    func workers() async throws -> [WorkerStatus]
    /// Of all jobs, or those of a workspace.
    func statistics(workspaceID: UUID?) async throws -> StatisticsView
}

/// The database itself.
struct DatabaseSource: JobSource {
    let store: JobStore
    let requester: Requester
    /// How long a worker may be silent and still count as alive.
    let silence: Duration

    func jobs(_ filter: JobFilter, after cursor: JobCursor?, limit: Int) async throws -> JobPage {
        try await store.jobs(filter, after: cursor, limit: limit)
    }

    func count(_ filter: JobFilter) async throws -> Int { try await store.count(filter) }

    func jobs(withIDs ids: [UUID]) async throws -> [JobSummary] { try await store.jobs(withIDs: ids) }

    func job(withID id: UUID) async throws -> JobRecord? { try await store.job(withID: id) }

    func lastLogs(of job: UUID, level: JobLogLevel, limit: Int) async throws -> [JobLogRecord] {
        try await store.lastLogs(of: job, level: level, limit: limit)
    }

    func logs(
        of job: UUID, after cursor: JobLogCursor, level: JobLogLevel, limit: Int
    ) async throws -> [JobLogRecord] {
        try await store.logs(of: job, after: cursor, level: level, limit: limit)
    }

    func change(_ job: UUID, _ action: JobChanging.Action) async throws -> JobSummary {
        switch action {
        case .cancel: try await store.cancel(job, by: requester)
        case .retry: try await store.retry(job, by: requester)
        case .delete: try await store.delete(job, by: requester)
        }
    }

    func queues() async throws -> [QueueStatus] { try await store.queues() }

    func setPaused(_ isPaused: Bool, queue: String) async throws -> Bool {
        try await store.setPaused(isPaused, queue: queue, by: requester)
    }

    func workers() async throws -> [WorkerStatus] { try await store.workers(silence: silence) }

    func statistics(workspaceID: UUID?) async throws -> StatisticsView {
        let statistics = try await store.statistics(workspaceID: workspaceID)
        // Queues and workers belong to no workspace.
        guard workspaceID == nil else { return StatisticsView(statistics, queues: [], unserved: []) }
        return StatisticsView(
            statistics, queues: try await store.queues(), unserved: try await store.unservedTypes(silence: silence))
    }
}
