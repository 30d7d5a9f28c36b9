import Development
import FoundationEssentials
import Postgres

/// Measures how many jobs without work a second pass through worker processes, each completion committed before its
/// slot takes the next job, and what the same server does with the bare statements of that.
package struct ThroughputBench: Sendable {
    package struct Options: Sendable {
        /// Of each run.
        package var jobs = 20_000
        /// Of each process.
        package var maxConcurrent = 50
        package var processes = 1
        package var runs = 5
        /// `WORKER_JOB_LOGS` of the workers that are compared with those that write no rows.
        package var jobLogs = "info"

        package init() {}
    }

    package struct Result: Sendable, Encodable {
        package let jobsPerSecond: Sample
        package let workerCPUSecondsPer1000Jobs: Double
        package let serverCPUSecondsPer1000Jobs: Double
        /// Of all worker processes together.
        package let peakMegabytes: Double
        /// Claim and complete by pgbench on the same table as the same role, in turn with the runs above.
        package let ceilingJobsPerSecond: Sample
        /// What the ceiling's statements are.
        package let ceiling: String
        /// Of the medians.
        package let ratio: Double
        /// The same statements, writing the row in `job_logs` for each completion as the worker does.
        package let ceilingWithRowsJobsPerSecond: Sample
        package let ratioToCeilingWithRows: Double
        /// With such rows too, and each batch completed by the statement that claims the next one, as the worker does it;
        /// `nil` where the ceiling is such a statement itself.
        package let oneStatement: OneStatement?
        /// Other workers, without rows in `job_logs`, in turn with the others.
        package let withoutLogRows: WithoutLogRows
        /// Who workers and pgbench are in the database.
        package let role: String
    }

    package struct OneStatement: Sendable, Encodable {
        package let jobsPerSecond: Sample
        /// Of the workers to it.
        package let ratio: Double
    }

    package struct WithoutLogRows: Sendable, Encodable {
        package let jobsPerSecond: Sample
        /// How much faster they are than those with rows.
        package let ratio: Double
        /// To the ceiling without rows.
        package let ratioToCeiling: Double
    }

    private let database: BenchDatabase
    private let program: String
    private let options: Options

    /// - Parameter program: Path of the `jobworker` to measure.
    package init(database: BenchDatabase, program: String, options: Options) {
        self.database = database
        self.program = program
        self.options = options
    }

    private struct Run {
        let rate: Double
        let workerCPU: Duration
        let serverCPU: Duration
    }

    /// Workers and the queue that only they serve.
    private struct Crew {
        let queue: String
        let workers: BenchWorkers
    }

    package func run() async throws -> Result {
        let connection = try await Connection.open(database.settings)
        // It looks whether a run is over, by the indexes.
        try await connection.runScript("SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off")
        let pgbench = try await PgBench(connectionString: database.workerConnectionString)
        let ceiling = Ceiling(slots: options.maxConcurrent, processes: options.processes)
        let ceilingWithRows = Ceiling(slots: options.maxConcurrent, processes: options.processes, writesRows: true)
        let oneStatement = ceilingWithRows.isFused ? nil : ceilingWithRows.fused
        let logging = try await crew(queue: "bench-logs", jobLogs: options.jobLogs, connection)
        do {
            // Jobs without work that succeed have no row of this level.
            let silent = try await crew(queue: "bench-no-logs", jobLogs: "error", connection)
            do {
                var (measured, unlogged): ([Run], [Double]) = ([], [])
                var (ceilings, ceilingsWithRows, ofOneStatement): ([Double], [Double], [Double]) = ([], [], [])
                for _ in 0..<options.runs {
                    ceilings.append(try await measure(ceiling, pgbench, connection))
                    ceilingsWithRows.append(try await measure(ceilingWithRows, pgbench, connection))
                    if let oneStatement {
                        ofOneStatement.append(try await measure(oneStatement, pgbench, connection))
                    }
                    measured.append(try await measure(logging, connection))
                    unlogged.append(try await measure(silent, connection).rate)
                }
                let peak = logging.workers.usage.peakMegabytes
                await silent.workers.stop()
                await logging.workers.stop()
                await connection.close()
                return result(measured, ceilings, ceilingsWithRows, ofOneStatement, unlogged, peak: peak, ceiling)
            } catch {
                await silent.workers.stop()
                throw error
            }
        } catch {
            await logging.workers.stop()
            await connection.close()
            throw error
        }
    }

    private func result(
        _ measured: [Run], _ ceilings: [Double], _ ceilingsWithRows: [Double], _ ofOneStatement: [Double],
        _ unlogged: [Double], peak: Double, _ ceiling: Ceiling
    ) -> Result {
        let compared = Comparison(measured.map(\.rate), to: ceilings)
        let comparedWithRows = Comparison(measured.map(\.rate), to: ceilingsWithRows)
        let comparedWithOne = ofOneStatement.isEmpty ? nil : Comparison(measured.map(\.rate), to: ofOneStatement)
        let withoutRows = Comparison(unlogged, to: measured.map(\.rate))
        let thousands = Double(options.runs * options.jobs) / 1000
        return Result(
            jobsPerSecond: compared.measured,
            workerCPUSecondsPer1000Jobs: measured.map { $0.workerCPU / .seconds(1) }.reduce(0, +) / thousands,
            serverCPUSecondsPer1000Jobs: measured.map { $0.serverCPU / .seconds(1) }.reduce(0, +) / thousands,
            peakMegabytes: peak, ceilingJobsPerSecond: compared.compared, ceiling: ceiling.words,
            ratio: compared.ratio, ceilingWithRowsJobsPerSecond: comparedWithRows.compared,
            ratioToCeilingWithRows: comparedWithRows.ratio,
            oneStatement: comparedWithOne.map { OneStatement(jobsPerSecond: $0.compared, ratio: $0.ratio) },
            withoutLogRows: WithoutLogRows(
                jobsPerSecond: withoutRows.measured, ratio: withoutRows.ratio,
                ratioToCeiling: Comparison(unlogged, to: ceilings).ratio),
            role: database.workerWords)
    }

    // MARK: The worker

    /// Nobody serves the queue before all jobs of a run are there.
    private func crew(queue: String, jobLogs: String, _ connection: Connection) async throws -> Crew {
        _ = try await connection.query("INSERT INTO public.job_queues (name, paused_at) VALUES (\(queue), now())")
        return Crew(
            queue: queue,
            workers: try await BenchWorkers.start(
                BenchWorkers.Options(
                    processes: options.processes, maxConcurrent: options.maxConcurrent, jobLogs: jobLogs, queue: queue),
                program: program, database: database))
    }

    private func measure(_ crew: Crew, _ connection: Connection) async throws -> Run {
        try await fill(queue: crew.queue, connection)
        let backends = try await serverProcesses(connection)
        let before = (crew.workers.usage.cpu, usage(of: backends).cpu)
        _ = try await connection.query("UPDATE public.job_queues SET paused_at = NULL WHERE name = \(crew.queue)")
        let deadline = ContinuousClock.now + .seconds(60 + options.jobs / 100)
        while try await isUnderWay(crew.queue, connection) {
            guard ContinuousClock.now < deadline else { throw DevelopmentError("the jobs were not done in time") }
            try await Task.sleep(for: .milliseconds(250))
        }
        let after = (crew.workers.usage.cpu, usage(of: backends).cpu)
        let rows = try await connection.query(
            """
            SELECT count(*) AS count, extract(epoch FROM max(completed_at) - min(started_at))::float8 AS seconds
            FROM public.jobs WHERE status = 'completed'
            """)
        guard let row = rows.first, try row.decode("count", as: Int.self) == options.jobs else {
            throw DevelopmentError("not all jobs were completed")
        }
        _ = try await connection.query("UPDATE public.job_queues SET paused_at = now() WHERE name = \(crew.queue)")
        try await connection.runScript("TRUNCATE public.jobs CASCADE")
        return Run(
            rate: Double(options.jobs) / (try row.decode("seconds", as: Double.self)),
            workerCPU: after.0 - before.0, serverCPU: after.1 - before.1)
    }

    /// Looks at the end of `jobs_due`, where the last job stands until it is claimed, then at `jobs_processing`: a look
    /// through the table would take from the workers what pgbench has for itself.
    private func isUnderWay(_ queue: String, _ connection: Connection) async throws -> Bool {
        let waiting = try await connection.query(
            """
            SELECT FROM public.jobs
            WHERE status = 'pending' AND coalesce(job_queue, 'default') = \(queue)
            ORDER BY coalesce(priority, 0), greatest(created_at, scheduled_for, next_retry_at) DESC, id DESC LIMIT 1
            """)
        if !waiting.isEmpty { return true }
        let running = try await connection.query(
            """
            SELECT FROM public.jobs
            WHERE (status = 'processing' OR lease_open) AND coalesce(job_queue, 'default') = \(queue) LIMIT 1
            """)
        return !running.isEmpty
    }

    private func fill(queue: String, _ connection: Connection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, job_queue)
            SELECT \(database.workspaceID), 'noop', '{}', \(queue) FROM generate_series(1, \(options.jobs))
            """)
        try await connection.runScript("VACUUM ANALYZE public.jobs")
        try await database.checkpoint(connection)
    }

    // MARK: The ceiling

    private func measure(_ ceiling: Ceiling, _ pgbench: PgBench, _ connection: Connection) async throws -> Double {
        try await fill(queue: Ceiling.queue, connection)
        let each = max(1, options.jobs / (ceiling.clients * ceiling.batch))
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
}

/// The statements of claiming and completing, bare: no presence, no caps, no results.
struct Ceiling: Sendable {
    static let queue = "bench-ceiling"

    let clients: Int
    let batch: Int
    private(set) var isFused: Bool
    /// A row in `job_logs` for each completion.
    let writesRows: Bool

    /// One process with few slots: each session completes its last job and claims the next in one statement. Several: as
    /// many sessions, each with the batch that such a process has at most. Many slots: batches of at most a hundred, two
    /// statements, two sessions, as more of either bring nothing on a machine of two cores.
    init(slots: Int, processes: Int, writesRows: Bool = false) {
        self.writesRows = writesRows
        isFused = slots <= 10
        clients = isFused ? (processes > 1 ? processes : slots) : 2
        batch = isFused ? (processes > 1 ? slots : 1) : min(100, slots * processes / 2)
    }

    /// The same batches and sessions, each batch completed by the statement that claims the next one.
    var fused: Ceiling {
        var fused = self
        fused.isFused = true
        return fused
    }

    var words: String {
        isFused
            ? "\(clients) sessions, each completes \(batch) job(s) and claims as many in one statement"
            : "2 sessions, each claims \(batch) jobs and completes them, two statements"
    }

    var script: String {
        let update = """
            UPDATE public.jobs SET status = 'completed', completed_at = clock_timestamp(), lease_open = false,
                progress = progress || '{"percentage": 100}', error_message = NULL, error_stack = NULL
            WHERE status = 'processing' AND worker_id = 'bench-' || :client_id
            """
        let rows = """
            INSERT INTO public.job_logs (job_id, log_level, message, metadata)
            SELECT id, 'info', format('Completed in %s s', round(extract(epoch FROM duration), 3)),
                   jsonb_build_object('attempt', attempts, 'worker_id', worker_id)
            FROM done
            """
        let done = """
            WITH done AS (\(update) RETURNING id, attempts, worker_id, completed_at - started_at AS duration)
            """
        // The queue is one and the same; ordered by it too, the index is followed under row policies as well.
        let claim = """
            UPDATE public.jobs SET status = 'processing', attempts = attempts + 1, worker_id = 'bench-' || :client_id,
                lease_token = nextval('jobworker.lease_tokens'), lease_open = true, started_at = clock_timestamp(),
                worker_heartbeat_at = clock_timestamp()
            WHERE id = ANY (ARRAY(
                SELECT id FROM public.jobs
                WHERE status = 'pending' AND coalesce(job_queue, 'default') = '\(Ceiling.queue)'
                ORDER BY coalesce(job_queue, 'default'), coalesce(priority, 0) DESC,
                         greatest(created_at, scheduled_for, next_retry_at), id
                LIMIT \(batch) FOR UPDATE SKIP LOCKED))
            """
        return isFused
            ? "\(done)\(writesRows ? ", rows AS (\(rows))" : "")\n\(claim) RETURNING id;\n"
            : "\(claim) RETURNING id;\n\(writesRows ? "\(done) \(rows)" : update);\n"
    }
}
