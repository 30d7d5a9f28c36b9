import Development
import Postgres

/// Measures a worker that has nothing to do, as a process of its own: how long it takes to become ready, what it uses
/// then, and what it asks of the database.
package struct IdleBench: Sendable {
    package struct Result: Sendable, Encodable {
        /// From the start of the process to READY=1, several starts.
        package let startToReadyMilliseconds: Sample
        /// From just before the start of the process to the stored completion of a job that was waiting for it.
        package let startToFirstJobMilliseconds: Sample
        package let residentMegabytes: Double
        /// Of one core.
        package let cpuPercent: Double
        /// As `pg_stat_database` counts them, in the measured database.
        package let transactionsPerMinute: Double
        /// Open at once.
        package let connections: Int
        /// How long was watched.
        package let seconds: Int
    }

    private let database: BenchDatabase
    private let program: String
    private let starts: Int
    private let seconds: Int

    /// - Parameters:
    ///   - program: Path of the `jobworker` to measure.
    ///   - seconds: How long the last worker that is started is watched.
    package init(database: BenchDatabase, program: String, starts: Int, seconds: Int) {
        self.database = database
        self.program = program
        self.starts = starts
        self.seconds = seconds
    }

    package func run() async throws -> Result {
        var readyTimes: [Double] = []
        var firstJobTimes: [Double] = []
        for start in 1...starts {
            let (workers, firstJob) = try await self.start()
            readyTimes += workers.startTimes.map(\.milliseconds)
            firstJobTimes.append(firstJob)
            guard start == starts else {
                await workers.stop()
                continue
            }
            do {
                let result = try await watch(workers, ready: Sample(readyTimes), firstJob: Sample(firstJobTimes))
                await workers.stop()
                return result
            } catch {
                await workers.stop()
                throw error
            }
        }
        throw DevelopmentError("no start was asked for")
    }

    /// Starts a worker for which a job waits.
    /// - Returns: Milliseconds to the job's completion, both ends by the database's clock.
    private func start() async throws -> (workers: BenchWorkers, firstJob: Double) {
        let connection = try await Connection.open(database.settings)
        _ = try await connection.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload) VALUES (\(database.workspaceID), 'noop', '{}')
            """)
        let began: Timestamp? = try await connection.query("SELECT clock_timestamp() AS now").first?.decode("now")
        let workers = try await BenchWorkers.start(program: program, database: database)
        do {
            try await database.wait(
                until: "SELECT count(*) = 0 AS is_so FROM public.jobs WHERE status <> 'completed'", connection)
            let milliseconds: Double? = try await connection.query(
                """
                SELECT (extract(epoch FROM max(completed_at) - \(began)) * 1000)::float8 AS milliseconds
                FROM public.jobs
                """
            ).first?.decode("milliseconds")
            try await connection.runScript("TRUNCATE public.jobs CASCADE")
            await connection.close()
            return (workers, milliseconds ?? 0)
        } catch {
            await workers.stop()
            throw error
        }
    }

    private func watch(
        _ workers: BenchWorkers, ready: Sample, firstJob: Sample
    ) async throws -> Result {
        // From another database, so that these looks aren't counted.
        let outside = try await Connection.open(database.server)
        // What belongs to the start is over, and counted: a session tells of its transactions with its next one.
        try await Task.sleep(for: .seconds(min(6, seconds)))
        let before = workers.usage
        let transactions = try await transactions(outside)
        try await Task.sleep(for: .seconds(seconds))
        let after = workers.usage
        let rows = try await outside.query(
            "SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = \(database.name)")
        let result = Result(
            startToReadyMilliseconds: ready, startToFirstJobMilliseconds: firstJob,
            residentMegabytes: after.residentMegabytes,
            cpuPercent: (after.cpu - before.cpu) / .seconds(seconds) * 100,
            transactionsPerMinute: Double(try await self.transactions(outside) - transactions) / Double(seconds) * 60,
            connections: try rows.first?.decode("count") ?? 0, seconds: seconds)
        await outside.close()
        return result
    }

    private func transactions(_ connection: Connection) async throws -> Int {
        try await connection.query(
            "SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = \(database.name)"
        ).first?.decode("count") ?? 0
    }
}
