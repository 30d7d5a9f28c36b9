import Development
import FoundationEssentials
import Glibc
import Postgres

/// Worker processes that serve the measured database: the program as it is, with the job type `noop`.
struct BenchWorkers: Sendable {
    private let processes: [TiedProcess]
    private let directory: String
    /// Their process numbers.
    let numbers: [Int]

    /// Starts them; returns when all are ready.
    static func start(
        _ count: Int, program: String, maxConcurrent: Int, jobLogs: String, database: BenchDatabase
    ) async throws -> BenchWorkers {
        let directory = "/tmp/jobworker-bench-\(getpid())-\(UInt32.random(in: .min ... .max))"
        var processes: [TiedProcess] = []
        do {
            for number in 1...count {
                let own = "\(directory)/\(number)"
                try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
                let manager = try NotifySocket(path: own + "/notify")
                processes.append(
                    TiedProcess(
                        [program, "run"],
                        environment: [
                            "DATABASE_URL": try database.settings.connectionString(forDatabase: database.name),
                            "RUNTIME_DIRECTORY": own, "NOTIFY_SOCKET": manager.path,
                            "WORKER_INSTANCE": "bench-\(number)",
                            "WORKER_ID": "bench-\(number)", "WORKER_DIAGNOSTIC_JOBS": "true",
                            "WORKER_MAX_CONCURRENT": "\(maxConcurrent)", "WORKER_JOB_LOGS": jobLogs,
                        ], log: own + "/log"))
                guard await manager.wait(within: .seconds(60), for: { $0 == "READY=1" }) != nil else {
                    let log = (try? String(contentsOfFile: own + "/log", encoding: .utf8)) ?? ""
                    throw DevelopmentError("The worker did not become ready:\n\(log)")
                }
            }
            return BenchWorkers(
                processes: processes, directory: directory, numbers: try await numbers(count, database))
        } catch {
            await stop(processes, directory)
            throw error
        }
    }

    func stop() async { await BenchWorkers.stop(processes, directory) }

    /// What they use, all together.
    var usage: [ProcessUsage] { numbers.compactMap { ProcessUsage(process: String($0)) } }

    private static func stop(_ processes: [TiedProcess], _ directory: String) async {
        for process in processes { process.send(.terminate) }
        for process in processes { await process.ended() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Each tells the database its number with its first look at the queue, a moment after it is ready.
    private static func numbers(_ count: Int, _ database: BenchDatabase) async throws -> [Int] {
        let connection = try await Connection.open(database.settings)
        var numbers: [Int] = []
        let deadline = ContinuousClock.now + .seconds(30)
        while numbers.count < count, ContinuousClock.now < deadline {
            numbers = try await connection.query("SELECT pid FROM public.job_workers ORDER BY id").map {
                try $0.decode("pid", as: Int.self)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        await connection.close()
        return numbers
    }
}
