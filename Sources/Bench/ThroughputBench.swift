import Development
import FoundationEssentials
import Postgres

/// Measures how many jobs without work a second pass through worker processes, each completion committed before its
/// slot takes the next job, and what the same server does with the bare statements of that.
package struct ThroughputBench: Sendable {
    package struct Result: Sendable, Encodable {
        package let jobsPerSecond: Repetitions
        package let workerCPUSecondsPer1000Jobs: Double
        package let serverCPUSecondsPer1000Jobs: Double
        package let peakMegabytes: Double
        /// Claim and complete by pgbench on the same table, in turn with the runs above.
        package let ceilingJobsPerSecond: Repetitions
        /// What the ceiling's statements are.
        package let ceiling: String
        /// Of the medians.
        package let ratio: Double
    }

    private let database: BenchDatabase
    private let program: String
    private let jobs: Int
    private let maxConcurrent: Int
    private let processes: Int
    private let runs: Int
    private let jobLogs: String

    /// - Parameters:
    ///   - program: Path of the `jobworker` to measure.
    ///   - maxConcurrent: Of each process.
    ///   - jobLogs: `WORKER_JOB_LOGS` of the workers.
    package init(
        database: BenchDatabase, program: String, jobs: Int, maxConcurrent: Int, processes: Int, runs: Int,
        jobLogs: String
    ) {
        self.database = database
        self.program = program
        self.jobs = jobs
        self.maxConcurrent = maxConcurrent
        self.processes = processes
        self.runs = runs
        self.jobLogs = jobLogs
    }

    private struct Run {
        let rate: Double
        let workerCPU: Duration
        let serverCPU: Duration
    }

    package func run() async throws -> Result {
        let connection = try await Connection.open(database.settings)
        let pgbench = PgBench(binaries: try await PostgresBinaries.find(), database: database)
        let ceiling = Ceiling(slots: maxConcurrent * processes)
        // Nobody serves the queue before all jobs of a run are there.
        try await connection.runScript("INSERT INTO public.job_queues (name, paused_at) VALUES ('default', now())")
        let workers = try await BenchWorkers.start(
            processes, program: program, maxConcurrent: maxConcurrent, jobLogs: jobLogs, database: database)
        do {
            var measured: [Run] = []
            var ceilings: [Double] = []
            for _ in 0..<runs {
                ceilings.append(try await measure(ceiling, pgbench, connection))
                measured.append(try await measure(workers, connection))
            }
            let peak = workers.usage.map(\.peakBytes).reduce(0, +)
            await workers.stop()
            await connection.close()
            let rates = Repetitions(measured.map(\.rate))
            let limits = Repetitions(ceilings)
            let all = Double(jobs * runs) / 1000
            return Result(
                jobsPerSecond: rates,
                workerCPUSecondsPer1000Jobs: measured.map { $0.workerCPU / .seconds(1) }.reduce(0, +) / all,
                serverCPUSecondsPer1000Jobs: measured.map { $0.serverCPU / .seconds(1) }.reduce(0, +) / all,
                peakMegabytes: Double(peak) / 1_048_576, ceilingJobsPerSecond: limits, ceiling: ceiling.words,
                ratio: rates.median / limits.median)
        } catch {
            await workers.stop()
            await connection.close()
            throw error
        }
    }

    // MARK: The worker

    private func measure(_ workers: BenchWorkers, _ connection: Connection) async throws -> Run {
        try await fill(queue: "default", connection)
        let backends = try await serverProcesses(connection)
        let before = (workers.usage, usage(of: backends))
        try await connection.runScript("UPDATE public.job_queues SET paused_at = NULL WHERE name = 'default'")
        let deadline = ContinuousClock.now + .seconds(60 + jobs / 100)
        while try await connection.query("SELECT FROM public.jobs WHERE status IN ('pending', 'processing') LIMIT 1")
            .count > 0
        {
            guard ContinuousClock.now < deadline else { throw DevelopmentError("the jobs were not done in time") }
            try await Task.sleep(for: .milliseconds(50))
        }
        let after = (workers.usage, usage(of: backends))
        let rows = try await connection.query(
            """
            SELECT count(*) AS count, extract(epoch FROM max(completed_at) - min(started_at))::float8 AS seconds
            FROM public.jobs WHERE status = 'completed'
            """)
        guard let row = rows.first, try row.decode("count", as: Int.self) == jobs else {
            throw DevelopmentError("not all jobs were completed")
        }
        try await connection.runScript(
            """
            UPDATE public.job_queues SET paused_at = now() WHERE name = 'default';
            TRUNCATE public.jobs CASCADE
            """)
        return Run(
            rate: Double(jobs) / (try row.decode("seconds", as: Double.self)),
            workerCPU: cpu(before.0, after.0), serverCPU: cpu(before.1, after.1))
    }

    private func fill(queue: String, _ connection: Connection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue)
            SELECT \(database.workspaceID), 'noop', '{}', \(queue) FROM generate_series(1, \(jobs))
            """)
        try await connection.runScript("VACUUM ANALYZE public.jobs")
        try await connection.runScript("CHECKPOINT")
    }

    // MARK: The ceiling

    private func measure(_ ceiling: Ceiling, _ pgbench: PgBench, _ connection: Connection) async throws -> Double {
        try await fill(queue: Ceiling.queue, connection)
        let each = max(1, jobs / (ceiling.clients * ceiling.batch))
        let rate = try await pgbench.rate(of: ceiling.script, clients: ceiling.clients, transactions: each)
        try await connection.runScript("TRUNCATE public.jobs CASCADE")
        return rate * Double(ceiling.batch)
    }

    // MARK: Processor time

    /// The server's sessions, where it is on this machine.
    private func serverProcesses(_ connection: Connection) async throws -> [Int] {
        try await connection.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).map { try $0.decode("pid", as: Int.self) }
    }

    private func usage(of processes: [Int]) -> [ProcessUsage] {
        processes.compactMap { ProcessUsage(process: String($0)) }
    }

    private func cpu(_ before: [ProcessUsage], _ after: [ProcessUsage]) -> Duration {
        after.map(\.cpu).reduce(.zero, +) - before.map(\.cpu).reduce(.zero, +)
    }
}

/// The statements of claiming and completing, bare: no presence, no log rows, no caps, no results.
struct Ceiling: Sendable {
    static let queue = "bench-ceiling"

    let clients: Int
    let batch: Int
    let isFused: Bool

    /// Few slots: each session completes its last job and claims the next in one statement. Many: batches of at most a
    /// hundred, two statements, two sessions, as more of either bring nothing on a machine of two cores.
    init(slots: Int) {
        isFused = slots <= 10
        clients = isFused ? slots : 2
        batch = isFused ? 1 : min(100, max(1, slots / 2))
    }

    var words: String {
        isFused
            ? "\(clients) sessions, each completes one job and claims the next in one statement"
            : "2 sessions, each claims \(batch) jobs and completes them, two statements"
    }

    var script: String {
        let complete = """
            UPDATE public.jobs SET status = 'completed', completed_at = clock_timestamp(), lease_open = false,
                progress = progress || '{"percentage": 100}', error_message = NULL, error_stack = NULL
            WHERE status = 'processing' AND worker_id = 'bench-' || :client_id
            """
        let claim = """
            UPDATE public.jobs SET status = 'processing', attempts = attempts + 1, worker_id = 'bench-' || :client_id,
                lease_token = nextval('jobworker.lease_tokens'), lease_open = true, started_at = clock_timestamp(),
                worker_heartbeat_at = clock_timestamp()
            WHERE id = ANY (ARRAY(
                SELECT id FROM public.jobs
                WHERE status = 'pending' AND coalesce(job_queue, 'default') = '\(Ceiling.queue)'
                ORDER BY coalesce(priority, 0) DESC, greatest(created_at, scheduled_for, next_retry_at), id
                LIMIT \(batch) FOR UPDATE SKIP LOCKED))
            """
        return isFused
            ? "WITH done AS (\(complete) RETURNING 1)\n\(claim) RETURNING id;\n"
            : "\(claim) RETURNING id;\n\(complete);\n"
    }
}
