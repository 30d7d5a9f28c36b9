import Development
import FoundationEssentials
import Postgres

/// Measures the resident memory of a worker process: idle, with all of its slots taken, and after many jobs.
package struct MemoryBench: Sendable {
    /// In megabytes of resident memory.
    package struct Result: Sendable, Encodable {
        package let idle: Double
        /// With all slots taken by jobs that sleep.
        package let running: Double
        package let slots: Int
        /// After so many jobs without work, with none left.
        package let after: Double
        package let jobs: Int
        /// The most there ever was.
        package let peak: Double
    }

    private let database: BenchDatabase
    private let program: String
    private let jobs: Int
    private let slots: Int

    /// - Parameters:
    ///   - program: Path of the `jobworker` to measure.
    ///   - jobs: That pass through the worker before the last look.
    package init(database: BenchDatabase, program: String, jobs: Int, slots: Int) {
        self.database = database
        self.program = program
        self.jobs = jobs
        self.slots = slots
    }

    package func run() async throws -> Result {
        let connection = try await Connection.open(database.settings)
        let workers = try await BenchWorkers.start(
            BenchWorkers.Options(maxConcurrent: slots), program: program, database: database)
        do {
            let idle = workers.usage.residentMegabytes
            try await add(slots, type: "sleep", payload: #"{"seconds": 86400}"#, connection)
            try await database.wait(
                until: "SELECT count(*) = \(slots) AS is_so FROM public.jobs WHERE status = 'processing'", connection)
            // Claimed is not yet begun.
            try await Task.sleep(for: .seconds(1))
            let running = workers.usage.residentMegabytes
            try await connection.runScript("UPDATE public.jobs SET status = 'cancelled' WHERE job_type = 'sleep'")
            try await database.wait(until: "SELECT count(*) = 0 AS is_so FROM public.jobs WHERE lease_open", connection)
            var left = jobs
            while left > 0 {
                let count = min(left, 50_000)
                try await add(count, type: "noop", payload: "{}", connection)
                try await database.wait(
                    until: """
                        SELECT count(*) = 0 AS is_so FROM (
                            SELECT FROM public.jobs WHERE status IN ('pending', 'processing') LIMIT 1) AS jobs
                        """, connection)
                try await connection.runScript("TRUNCATE public.jobs CASCADE")
                left -= count
            }
            let usage = workers.usage
            let result = Result(
                idle: idle, running: running, slots: slots, after: usage.residentMegabytes, jobs: jobs,
                peak: usage.peakMegabytes)
            await workers.stop()
            await connection.close()
            return result
        } catch {
            await workers.stop()
            await connection.close()
            throw error
        }
    }

    private func add(_ count: Int, type: String, payload: String, _ connection: Connection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, timeout_seconds)
            SELECT \(database.workspaceID), \(type), \(payload)::jsonb, 86400 FROM generate_series(1, \(count))
            """)
    }
}
