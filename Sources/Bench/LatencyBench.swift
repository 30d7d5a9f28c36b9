import FoundationEssentials
import JobWorker
import Logging
import Postgres

/// Measures the time from just before an INSERT is sent to the first instruction of its job, on a worker in this
/// process, in turn with `WakeupFloor`; first while nothing else runs, then while half of its slots are occupied.
package struct LatencyBench: Sendable {
    package struct Result: Sendable, Encodable {
        package let idle: Timing
        package let halfLoad: Timing
        /// Of the worker.
        package let slots: Int
        /// Of this process, inserts and their pauses included, while nothing else runs.
        package let cpuSecondsPer1000Jobs: Double
        package let peakMegabytes: Double
        /// Who the worker is in the database.
        package let role: String
    }

    package struct Timing: Sendable, Encodable {
        package let milliseconds: Sample
        /// Two plain connections, no worker; the same table without triggers and policies.
        package let floorMilliseconds: Sample
        /// The same, in a table that has no index but its key.
        package let bareMilliseconds: Sample
        /// To the floor.
        package let ratioP50: Double
        package let ratioP99: Double

        fileprivate init(_ times: [Times]) {
            milliseconds = Sample(times.map(\.worker))
            floorMilliseconds = Sample(times.map(\.floor))
            bareMilliseconds = Sample(times.map(\.bare))
            ratioP50 = milliseconds.p50 / floorMilliseconds.p50
            ratioP99 = milliseconds.p99 / floorMilliseconds.p99
        }
    }

    fileprivate struct Times {
        let worker: Double
        let floor: Double
        let bare: Double
        let processor: Duration
    }

    private let database: BenchDatabase
    private let jobs: Int
    private let slots: Int
    /// After each start, before the next INSERT.
    private let pause = Duration.milliseconds(20)
    /// How long a job of the load occupies its slot.
    private static let loadDuration = Duration.milliseconds(100)

    /// - Parameters:
    ///   - jobs: Of each of the two parts.
    ///   - slots: Of the worker; an even number.
    package init(database: BenchDatabase, jobs: Int, slots: Int) {
        self.database = database
        self.jobs = jobs
        self.slots = slots
    }

    /// Notes when each job starts.
    private final class Arrivals: JobProcessor {
        let jobTypes = ["bench"]
        private let instants: AsyncStream<ContinuousClock.Instant>
        private let continuation: AsyncStream<ContinuousClock.Instant>.Continuation

        init() { (instants, continuation) = AsyncStream.makeStream() }

        func process(_ job: Job, context: JobContext) async throws -> JSONText? {
            continuation.yield(.now)
            return nil
        }

        /// The next one, for one reader.
        func next() async throws -> ContinuousClock.Instant {
            for await instant in instants { return instant }
            throw CancellationError()
        }
    }

    /// Occupies slots, and tells when a job ends.
    private final class Load: JobProcessor {
        let jobTypes = ["bench.load"]
        let ends: AsyncStream<Void>
        private let continuation: AsyncStream<Void>.Continuation

        init() { (ends, continuation) = AsyncStream.makeStream() }

        func process(_ job: Job, context: JobContext) async throws -> JSONText? {
            defer { continuation.yield() }
            try await Task.sleep(for: LatencyBench.loadDuration)
            return nil
        }
    }

    package func run() async throws -> Result {
        let (arrivals, load) = (Arrivals(), Load())
        var registry = ProcessorRegistry()
        try registry.register(arrivals)
        try registry.register(load)
        let pool = ConnectionPool(database.workerSettings, limit: 2)
        var configuration = WorkerConfiguration(workerID: "bench")
        configuration.maxConcurrent = slots
        let worker = JobWorker::JobWorker(
            configuration: configuration, pool: pool, processors: registry,
            logger: Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() }))
        let running = Task { try await worker.run() }
        defer { running.cancel() }
        for await _ in worker.state.transitions where worker.state.snapshot.isListening { break }
        let client = try await Connection.open(database.settings)
        let floors = (
            alike: try await WakeupFloor.prepare(database, .alike), bare: try await WakeupFloor.prepare(database, .bare)
        )
        // The first times include preparing the statements.
        for _ in 0..<10 { _ = try await time(client, floors, arrivals) }

        var idle: [Times] = []
        for _ in 0..<jobs { idle.append(try await time(client, floors, arrivals)) }
        let feeder = Task { try await feed(load) }
        var busy: [Times] = []
        for _ in 0..<jobs { busy.append(try await time(client, floors, arrivals)) }
        feeder.cancel()
        _ = await feeder.result

        await floors.alike.close()
        await floors.bare.close()
        await client.close()
        worker.stop()
        _ = try await running.value
        return Result(
            idle: Timing(idle), halfLoad: Timing(busy), slots: slots,
            cpuSecondsPer1000Jobs: idle.map(\.processor).reduce(.zero, +) / .seconds(1) / Double(jobs) * 1000,
            peakMegabytes: ProcessUsage()?.peakMegabytes ?? 0, role: database.workerWords)
    }

    /// A job, and both floors, each followed by a pause.
    private func time(
        _ client: Connection, _ floors: (alike: WakeupFloor, bare: WakeupFloor), _ arrivals: Arrivals
    ) async throws -> Times {
        let processor = ProcessUsage.ownProcessorTime
        let start = ContinuousClock.now
        _ = try await client.query(
            """
            /* jobworker:bench.insert */
            INSERT INTO public.jobs (workspace_id, job_type, payload) VALUES (\(database.workspaceID), 'bench', '{}')
            """)
        let arrival = try await arrivals.next()
        try await Task.sleep(for: pause)
        let spent = ProcessUsage.ownProcessorTime - processor
        let floor = try await floors.alike.once()
        try await Task.sleep(for: pause)
        let bare = try await floors.bare.once()
        try await Task.sleep(for: pause)
        return Times(
            worker: (arrival - start).milliseconds, floor: floor.milliseconds, bare: bare.milliseconds, processor: spent
        )
    }

    /// Keeps half of the slots occupied until cancelled: where a job ends, the next one is added.
    private func feed(_ load: Load) async throws {
        let client = try await Connection.open(database.settings)
        for _ in 0..<slots / 2 { try await addLoad(client) }
        for await _ in load.ends { try await addLoad(client) }
        await client.close()
    }

    private func addLoad(_ client: Connection) async throws {
        _ = try await client.query(
            """
            /* jobworker:bench.load */
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            VALUES (\(database.workspaceID), 'bench.load', '{}')
            """)
    }
}
