import Development
import FoundationEssentials
import Glibc
import JobWorker
import Postgres

/// Measures a worker that has nothing to do, as a process of its own: how long it takes to become ready, and what
/// it uses then.
package struct IdleBench: Sendable {
    package struct Result: Sendable, Encodable {
        /// From the start of the process to READY=1, several starts.
        package let startToReadyMilliseconds: Spread
        package let residentMegabytes: Double
        /// Of one core.
        package let cpuPercent: Double
    }

    private let database: BenchDatabase
    private let program: String
    private let starts: Int
    private let idle: Duration

    /// - Parameters:
    ///   - program: Path of the `jobworker` to measure.
    ///   - idle: How long memory and processor time are watched.
    package init(database: BenchDatabase, program: String, starts: Int = 5, idle: Duration = .seconds(10)) {
        self.database = database
        self.program = program
        self.starts = starts
        self.idle = idle
    }

    package func run() async throws -> Result {
        var times: [Double] = []
        var resident = 0.0
        var cpu = 0.0
        for start in 1...starts {
            let directory = "/tmp/jobworker-bench-\(getpid())-\(start)"
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let manager = try NotifySocket(path: directory + "/notify")
            let began = ContinuousClock.now
            let process = TiedProcess(
                [program, "run"],
                environment: [
                    "DATABASE_URL": try database.settings.connectionString(forDatabase: database.name),
                    "RUNTIME_DIRECTORY": directory, "NOTIFY_SOCKET": manager.path, "WORKER_INSTANCE": "bench",
                    "WORKER_ID": "bench-\(start)",
                ], log: directory + "/log")
            guard await manager.wait(within: .seconds(60), for: { $0 == "READY=1" }) != nil else {
                let log = (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? ""
                throw DevelopmentError("The worker did not become ready:\n\(log)")
            }
            times.append((ContinuousClock.now - began).milliseconds)
            if start == starts { (resident, cpu) = try await watch("bench-\(start)") }
            process.send(.terminate)
            await process.ended()
        }
        return Result(startToReadyMilliseconds: Spread(times), residentMegabytes: resident, cpuPercent: cpu)
    }

    private func watch(_ workerID: String) async throws -> (megabytes: Double, percent: Double) {
        let connection = try await Connection.open(database.settings)
        // Its first look at the queue, a moment after it is ready, tells its number.
        try await Task.sleep(for: .seconds(1))
        let rows = try await connection.query("SELECT pid FROM public.job_workers WHERE id = \(workerID)")
        let process: Int = try rows.first?.decode("pid") ?? 0
        await connection.close()
        let before = ProcessUsage(process: String(process))
        try await Task.sleep(for: idle)
        guard let before, let after = ProcessUsage(process: String(process)) else { return (0, 0) }
        return (Double(after.residentBytes) / 1_048_576, (after.cpu - before.cpu) / idle * 100)
    }
}
