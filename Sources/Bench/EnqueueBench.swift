import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres

/// Measures how many jobs a second can be added, beside the same inserts into the same table without its triggers:
/// while no worker runs, while one is idle, and while all slots of one are taken.
package struct EnqueueBench: Sendable {
    package struct Result: Sendable, Encodable {
        /// One INSERT and one commit each, by one client. Compared with the table without triggers.
        package let oneByOne: Comparison
        /// The same, by several clients at once.
        package let concurrent: Comparison
        package let clients: Int
        /// A thousand in each statement of `JobStore.enqueue`, over one connection. Compared with COPY into the table without
        /// triggers.
        package let batches: Comparison
        /// While a worker waits for jobs, each of which it runs at once.
        package let idleWorker: Rates
        /// While all slots of a worker are taken.
        package let saturatedWorker: Rates
        /// Of the worker.
        package let slots: Int
        /// Who adds the jobs; COPY alone is the login's.
        package let role: String
    }

    /// Jobs a second, and the ratios to the same without a worker.
    package struct Rates: Sendable, Encodable {
        package let oneByOne: Comparison
        package let concurrent: Comparison
        package let batches: Comparison
    }

    private let database: BenchDatabase
    private let program: String
    private let jobs: Int
    private let clients: Int
    private let slots: Int
    private let runs: Int

    /// - Parameters:
    ///   - program: Path of the `jobworker` that idles or is saturated.
    ///   - jobs: In batches; a tenth of them one by one.
    ///   - clients: At once.
    ///   - slots: Of the worker.
    package init(database: BenchDatabase, program: String, jobs: Int, clients: Int, slots: Int, runs: Int) {
        self.database = database
        self.program = program
        self.jobs = jobs
        self.clients = clients
        self.slots = slots
        self.runs = runs
    }

    /// Jobs a second.
    private struct Rate {
        let single: Double
        let concurrent: Double
        let batches: Double

        /// Of both together, where each is of as many jobs.
        func and(_ other: Rate) -> Rate {
            func mean(_ one: Double, _ other: Double) -> Double { 2 / (1 / one + 1 / other) }
            return Rate(
                single: mean(single, other.single), concurrent: mean(concurrent, other.concurrent),
                batches: mean(batches, other.batches))
        }
    }

    /// In several runs.
    private struct Series {
        var single: [Double] = []
        var concurrent: [Double] = []
        var batches: [Double] = []

        mutating func append(_ rate: Rate) {
            single.append(rate.single)
            concurrent.append(rate.concurrent)
            batches.append(rate.batches)
        }

        func compared(to other: Series) -> (single: Comparison, concurrent: Comparison, batches: Comparison) {
            (
                Comparison(single, to: other.single), Comparison(concurrent, to: other.concurrent),
                Comparison(batches, to: other.batches)
            )
        }
    }

    package func run() async throws -> Result {
        let connection = try await Connection.open(database.settings)
        let pgbench = try await PgBench(connectionString: database.workerConnectionString)
        var (alone, bare, idle, saturated) = (Series(), Series(), Series(), Series())
        for _ in 0..<runs {
            // In halves, there and back again: what drifts meanwhile concerns both alike.
            let half = max(1, jobs / 2)
            let first = try await measure(half, pgbench, connection)
            let bareFirst = try await measureBare(half, pgbench, connection)
            bare.append(bareFirst.and(try await measureBare(half, pgbench, connection)))
            alone.append(first.and(try await measure(half, pgbench, connection)))
            let workers = try await BenchWorkers.start(
                BenchWorkers.Options(maxConcurrent: slots), program: program, database: database)
            do {
                idle.append(try await measure(jobs, pgbench, connection))
                try await occupy(connection)
                saturated.append(try await measure(jobs, pgbench, connection))
                try await release(connection)
                await workers.stop()
            } catch {
                await workers.stop()
                throw error
            }
            try await empty(connection)
        }
        await connection.close()
        let toBare = alone.compared(to: bare)
        func rates(_ series: Series) -> Rates {
            let compared = series.compared(to: alone)
            return Rates(oneByOne: compared.single, concurrent: compared.concurrent, batches: compared.batches)
        }
        return Result(
            oneByOne: toBare.single, concurrent: toBare.concurrent, clients: clients, batches: toBare.batches,
            idleWorker: rates(idle), saturatedWorker: rates(saturated), slots: slots, role: database.workerWords)
    }

    /// - Parameter count: Jobs in batches; a tenth of them one by one.
    private func measure(_ count: Int, _ pgbench: PgBench, _ connection: Connection) async throws -> Rate {
        let single = try await inserts(count / 10, clients: 1, pgbench)
        try await empty(connection)
        let concurrent = try await inserts(count / 10, clients: clients, pgbench)
        try await empty(connection)
        let batches = try await enqueue(count)
        try await empty(connection)
        return Rate(single: single, concurrent: concurrent, batches: batches)
    }

    private func measureBare(_ count: Int, _ pgbench: PgBench, _ connection: Connection) async throws -> Rate {
        // Due times count from a creation that a trigger fills in where a client gives none.
        try await connection.runScript("ALTER TABLE public.jobs DISABLE TRIGGER USER")
        let single = try await inserts(count / 10, clients: 1, pgbench)
        try await empty(connection)
        let concurrent = try await inserts(count / 10, clients: clients, pgbench)
        try await empty(connection)
        let batches = try await copy(count, connection)
        // Those of turns rest where nobody takes any.
        try await connection.runScript("ALTER TABLE public.jobs ENABLE TRIGGER USER; SELECT jobworker.arrange_turns()")
        try await empty(connection)
        return Rate(single: single, concurrent: concurrent, batches: batches)
    }

    private func inserts(_ count: Int, clients: Int, _ pgbench: PgBench) async throws -> Double {
        let script = """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            VALUES ('\(database.workspaceID.text)', 'noop', '{"account_id": "a"}');

            """
        return try await pgbench.rate(of: script, clients: clients, transactions: max(1, count / clients))
    }

    private func enqueue(_ count: Int) async throws -> Double {
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        let store = JobStore(pool: pool)
        let payload = JSONText(#"{"account_id": "a"}"#)
        let began = ContinuousClock.now
        // Over one connection; the next thousand are put together while one thousand is stored.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, start) in stride(from: 0, to: count, by: 1000).enumerated() {
                if number > 1 { try await group.next() }
                group.addTask {
                    _ = try await store.enqueue(
                        (start..<min(start + 1000, count)).map { _ in
                            NewJob(workspaceID: database.workspaceID, type: "noop", payload: payload)
                        })
                }
            }
            try await group.waitForAll()
        }
        let rate = Double(count) / ((ContinuousClock.now - began) / .seconds(1))
        await pool.close()
        return rate
    }

    /// From a file that the server reads, so that no client's parsing counts.
    private func copy(_ count: Int, _ connection: Connection) async throws -> Double {
        let path = "/tmp/jobworker-bench-copy-\(getpid())"
        let line = "\(database.workspaceID.text)\tnoop\t{\"account_id\": \"a\"}\n"
        try String(repeating: line, count: count).write(toFile: path, atomically: true, encoding: .utf8)
        chmod(path, 0o644)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let began = ContinuousClock.now
        try await connection.runScript("COPY public.jobs (workspace_id, job_type, payload) FROM '\(path)'")
        return Double(count) / ((ContinuousClock.now - began) / .seconds(1))
    }

    /// Fills the worker's slots with jobs that outlast the measurement.
    private func occupy(_ connection: Connection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, timeout_seconds)
            SELECT \(database.workspaceID), 'sleep', '{"seconds": 86400}', 86400 FROM generate_series(1, \(slots))
            """)
        try await database.wait(
            until: "SELECT count(*) = \(slots) AS is_so FROM public.jobs WHERE status = 'processing'", connection)
    }

    private func release(_ connection: Connection) async throws {
        try await connection.runScript("UPDATE public.jobs SET status = 'cancelled' WHERE job_type = 'sleep'")
        try await database.wait(until: "SELECT count(*) = 0 AS is_so FROM public.jobs WHERE lease_open", connection)
        try await connection.runScript("TRUNCATE public.jobs CASCADE")
    }

    /// Removes the added jobs, once a worker that is idle has done those that it took.
    private func empty(_ connection: Connection) async throws {
        try await database.wait(
            until: "SELECT count(*) = 0 AS is_so FROM public.jobs WHERE status = 'processing' AND job_type = 'noop'",
            connection)
        let kept = try await connection.query("SELECT FROM public.jobs WHERE job_type = 'sleep' LIMIT 1")
        try await connection.runScript(
            kept.isEmpty ? "TRUNCATE public.jobs CASCADE" : "DELETE FROM public.jobs WHERE job_type = 'noop'")
        try await connection.runScript("VACUUM public.jobs")
        try await database.checkpoint(connection)
    }
}
