import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres

/// Measures how many jobs a second can be added, beside the same inserts into the same table without its triggers.
package struct EnqueueBench: Sendable {
    /// A rate, what it is compared with, and the ratio of the medians.
    package struct Comparison: Sendable, Encodable {
        package let jobsPerSecond: Repetitions
        package let ceilingJobsPerSecond: Repetitions
        package let ratio: Double

        init(_ pairs: [(rate: Double, ceiling: Double)]) {
            jobsPerSecond = Repetitions(pairs.map(\.rate))
            ceilingJobsPerSecond = Repetitions(pairs.map(\.ceiling))
            ratio = jobsPerSecond.median / ceilingJobsPerSecond.median
        }
    }

    package struct Result: Sendable, Encodable {
        /// One INSERT and one commit each, by one client. Compared with the table without triggers.
        package let oneByOne: Comparison
        /// The same, by several clients at once.
        package let concurrent: Comparison
        package let clients: Int
        /// A thousand in each statement of `JobStore.enqueue`. Compared with COPY into the table without triggers.
        package let batches: Comparison
    }

    private let database: BenchDatabase
    private let jobs: Int
    private let clients: Int
    private let runs: Int

    /// - Parameters:
    ///   - jobs: In batches; a tenth of them one by one.
    ///   - clients: At once.
    package init(database: BenchDatabase, jobs: Int, clients: Int, runs: Int) {
        self.database = database
        self.jobs = jobs
        self.clients = clients
        self.runs = runs
    }

    package func run() async throws -> Result {
        let connection = try await Connection.open(database.settings)
        let pgbench = PgBench(binaries: try await PostgresBinaries.find(), database: database)
        var (single, concurrent, batches): ([(Double, Double)], [(Double, Double)], [(Double, Double)]) = ([], [], [])
        for _ in 0..<runs {
            single.append(try await inserts(clients: 1, pgbench, connection))
            concurrent.append(try await inserts(clients: clients, pgbench, connection))
            batches.append((try await enqueue(connection), try await copy(connection)))
        }
        await connection.close()
        return Result(
            oneByOne: Comparison(single), concurrent: Comparison(concurrent), clients: clients,
            batches: Comparison(batches))
    }

    /// - Returns: With the table's triggers, and without.
    private func inserts(
        clients: Int, _ pgbench: PgBench, _ connection: Connection
    ) async throws -> (Double, Double) {
        let script = """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            VALUES ('\(database.workspaceID.text)', 'noop', '{"account_id": "a"}');

            """
        let each = max(1, jobs / 10 / clients)
        let rate = try await pgbench.rate(of: script, clients: clients, transactions: each)
        try await empty(connection)
        let ceiling = try await withoutTriggers(connection) {
            try await pgbench.rate(of: script, clients: clients, transactions: each)
        }
        return (rate, ceiling)
    }

    private func enqueue(_ connection: Connection) async throws -> Double {
        let pool = ConnectionPool(database.settings, limit: 1)
        let store = JobStore(pool: pool)
        let payload = JSONText(#"{"account_id": "a"}"#)
        let began = ContinuousClock.now
        for start in stride(from: 0, to: jobs, by: 1000) {
            _ = try await store.enqueue(
                (start..<min(start + 1000, jobs)).map { _ in
                    NewJob(workspaceID: database.workspaceID, type: "noop", payload: payload)
                })
        }
        let rate = Double(jobs) / ((ContinuousClock.now - began) / .seconds(1))
        await pool.close()
        try await empty(connection)
        return rate
    }

    /// From a file that the server reads, so that no client's parsing counts.
    private func copy(_ connection: Connection) async throws -> Double {
        let path = "/tmp/jobworker-bench-copy-\(getpid())"
        let line = "\(database.workspaceID.text)\tnoop\t{\"account_id\": \"a\"}\n"
        try String(repeating: line, count: jobs).write(toFile: path, atomically: true, encoding: .utf8)
        chmod(path, 0o644)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await withoutTriggers(connection) {
            let began = ContinuousClock.now
            try await connection.runScript("COPY public.jobs (workspace_id, job_type, payload) FROM '\(path)'")
            return Double(jobs) / ((ContinuousClock.now - began) / .seconds(1))
        }
    }

    private func withoutTriggers(_ connection: Connection, _ body: () async throws -> Double) async throws -> Double {
        // Due times count from a creation that a trigger fills in where a client gives none.
        try await connection.runScript("ALTER TABLE public.jobs DISABLE TRIGGER USER")
        let rate = try await body()
        try await connection.runScript("ALTER TABLE public.jobs ENABLE TRIGGER USER")
        try await empty(connection)
        return rate
    }

    private func empty(_ connection: Connection) async throws {
        try await connection.runScript("TRUNCATE public.jobs CASCADE")
        try await connection.runScript("CHECKPOINT")
    }
}
