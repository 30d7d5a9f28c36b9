import FoundationEssentials
import JobWorker
import Logging
import Postgres
import Synchronization

/// Measures the time from just before an INSERT is sent to the first instruction of its job, on an idle worker
/// in this process.
package struct LatencyBench: Sendable {
    package struct Result: Sendable, Encodable {
        package let milliseconds: Spread
        package let cpuSecondsPer1000Jobs: Double
        package let peakMegabytes: Double
    }

    private let database: BenchDatabase
    private let jobs: Int
    /// Between one job's start and the next INSERT.
    private let pause = Duration.milliseconds(20)

    package init(database: BenchDatabase, jobs: Int) {
        self.database = database
        self.jobs = jobs
    }

    /// Notes when each job starts.
    private final class Arrivals: JobProcessor {
        let jobTypes = ["bench"]
        private let stream: AsyncStream<ContinuousClock.Instant>
        private let continuation: AsyncStream<ContinuousClock.Instant>.Continuation

        init() { (stream, continuation) = AsyncStream.makeStream() }

        var instants: AsyncStream<ContinuousClock.Instant> { stream }

        func process(_ job: Job, context: JobContext) async throws -> JSONText? {
            continuation.yield(.now)
            return nil
        }
    }

    package func run() async throws -> Result {
        let arrivals = Arrivals()
        var registry = ProcessorRegistry()
        try registry.register(arrivals)
        let pool = ConnectionPool(database.settings, limit: 2)
        let worker = JobWorker::JobWorker(
            configuration: WorkerConfiguration(workerID: "bench"), pool: pool, processors: registry,
            logger: Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() }))
        let running = Task { try await worker.run() }
        defer { running.cancel() }
        for await _ in worker.state.transitions where worker.state.snapshot.isListening { break }
        let client = try await Connection.open(database.settings)
        let before = ProcessUsage()
        var times: [Double] = []
        var instants = arrivals.instants.makeAsyncIterator()
        for _ in 0..<jobs {
            let start = ContinuousClock.now
            _ = try await client.query(
                """
                /* jobworker:bench.insert */
                INSERT INTO public.jobs (workspace_id, job_type, payload) VALUES (\(database.workspaceID), 'bench', '{}')
                """)
            guard let arrival = await instants.next() else { break }
            times.append((arrival - start).milliseconds)
            try await Task.sleep(for: pause)
        }
        let after = ProcessUsage()
        await client.close()
        worker.stop()
        _ = try await running.value
        let cpu = (after?.cpu ?? .zero) - (before?.cpu ?? .zero)
        return Result(
            milliseconds: Spread(times), cpuSecondsPer1000Jobs: cpu / .seconds(1) / Double(jobs) * 1000,
            peakMegabytes: Double(after?.peakBytes ?? 0) / 1_048_576)
    }
}
