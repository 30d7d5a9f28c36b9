import Development
import FoundationEssentials
import JobWorker
import Postgres

/// A server and the workers of one scene.
actor Stage {
    nonisolated let database: ChaosDatabase
    nonisolated let faults = FaultLog()
    private let directory: String
    private var slots: [WorkerSlot] = []
    nonisolated let store: JobStore

    init(database: ChaosDatabase, directory: String) {
        self.database = database
        self.directory = directory
        store = JobStore(pool: database.clients, lifecycleLevel: .debug)
    }

    func close() async {
        for slot in slots {
            slot.proxy.heal()
            await slot.kill()
            slot.proxy.close()
        }
        await database.stop()
    }

    /// A worker that has told the database of itself. Its retries wait for nothing.
    /// - Parameter lease: In seconds; it beats six times in that time.
    func worker(slots count: Int = 8, lease: Double = 3, _ changes: [String: String] = [:]) async throws -> WorkerSlot {
        var course = Course()
        course.slots = count
        let slot = try WorkerSlot(
            index: slots.count, course: course, directory: directory, server: database.server, faults: faults,
            changes: [
                "WORKER_QUEUES": "default", "WORKER_RETRY_BASE_SECONDS": "0",
                "WORKER_HEARTBEAT_SECONDS": "\(lease / 6)", "WORKER_STALE_AFTER_SECONDS": "\(lease)",
            ].merging(changes) { $1 })
        slots.append(slot)
        try await slot.start()
        try await isThere(slot)
        return slot
    }

    func isThere(_ slot: WorkerSlot) async throws {
        let id = await slot.workerID
        try await waitUntil("EXISTS (SELECT FROM public.job_workers WHERE id = '\(id)' AND stopped_at IS NULL)")
    }

    /// Adds jobs that take this long.
    @discardableResult
    func add(
        _ count: Int = 1, milliseconds: Int, failures: Int = 0, queue: String = "default", type: String = "short"
    ) async throws -> [UUID] {
        let behaviour = try JSONText(encoding: Behaviour(milliseconds: milliseconds, failures: failures))
        let jobs = (0..<count).map { _ in
            NewJob(workspaceID: JobMix.workspace, type: type, payload: behaviour, queue: queue)
        }
        return try await store.enqueue(jobs).map(\.id)
    }

    /// Waits until an expression of SQL is true.
    func waitUntil(_ condition: String, within limit: Duration = .seconds(120)) async throws {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if try await value("SELECT (\(condition))::int::float8 AS value") == 1 { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw ChaosError("this never came true: \(condition)")
    }

    /// The column `value` of the first row.
    func value(_ sql: String) async throws -> Double? { try await values(sql).first }

    func values(_ sql: String) async throws -> [Double] {
        try await database.admin.query(Statement(stringLiteral: sql)).compactMap {
            try $0.decodeIfPresent("value", as: Double.self)
        }
    }

    /// Seconds from a moment to each job's first claim after it.
    func claims(of jobs: [UUID], after moment: Int64) async throws -> [Double] {
        let ids = jobs.map { "'\($0.text)'" }.joined(separator: ", ")
        return try await values(
            """
            SELECT extract(epoch FROM min(at) - to_timestamp(\(moment) / 1e6))::float8 AS value
            FROM chaos.claims WHERE job IN (\(ids)) AND at > to_timestamp(\(moment) / 1e6) GROUP BY job
            """)
    }
}
