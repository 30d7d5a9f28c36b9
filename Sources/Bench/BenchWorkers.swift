import Development
import FoundationEssentials
import Glibc
import Postgres

/// Worker processes that serve the measured database: the program as it is, with its diagnostic job types.
struct BenchWorkers: Sendable {
    struct Options: Sendable {
        var processes = 1
        var maxConcurrent = 5
        var jobLogs = "info"
        var queue = "default"
    }

    private let processes: [TiedProcess]
    private let directory: String
    /// Their process numbers.
    let numbers: [Int]
    /// From the start of each to its READY=1.
    let startTimes: [Duration]

    /// Starts them, one after another; returns when all are ready and have looked at the queue once.
    static func start(
        _ options: Options = Options(), program: String, database: BenchDatabase
    ) async throws -> BenchWorkers {
        let name = "bench-\(String(UInt32.random(in: .min ... .max), radix: 16))"
        let directory = "/tmp/jobworker-\(name)"
        var processes: [TiedProcess] = []
        var times: [Duration] = []
        do {
            for number in 1...options.processes {
                let own = "\(directory)/\(number)"
                try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
                let manager = try NotifySocket(path: own + "/notify")
                let began = ContinuousClock.now
                processes.append(
                    TiedProcess(
                        [program, "run"],
                        environment: [
                            "DATABASE_URL": database.workerConnectionString,
                            "RUNTIME_DIRECTORY": own, "NOTIFY_SOCKET": manager.path,
                            "WORKER_INSTANCE": "\(name)-\(number)", "WORKER_ID": "\(name)-\(number)",
                            "WORKER_DIAGNOSTIC_JOBS": "true", "WORKER_QUEUES": options.queue,
                            "WORKER_MAX_CONCURRENT": "\(options.maxConcurrent)", "WORKER_JOB_LOGS": options.jobLogs,
                        ], log: own + "/log"))
                guard await manager.wait(within: .seconds(60), for: { $0 == "READY=1" }) != nil else {
                    let log = (try? String(contentsOfFile: own + "/log", encoding: .utf8)) ?? ""
                    throw DevelopmentError("The worker did not become ready:\n\(log)")
                }
                times.append(ContinuousClock.now - began)
            }
            return BenchWorkers(
                processes: processes, directory: directory,
                numbers: try await numbers(options.processes, name, database), startTimes: times)
        } catch {
            await stop(processes, directory)
            throw error
        }
    }

    func stop() async { await BenchWorkers.stop(processes, directory) }

    /// What each of them uses.
    var usage: [ProcessUsage] { numbers.compactMap { ProcessUsage(process: String($0)) } }

    private static func stop(_ processes: [TiedProcess], _ directory: String) async {
        for process in processes { process.send(.terminate) }
        for process in processes { await process.ended() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Each tells the database its number with its first look at the queue, a moment after it is ready.
    private static func numbers(_ count: Int, _ name: String, _ database: BenchDatabase) async throws -> [Int] {
        let connection = try await Connection.open(database.settings)
        var numbers: [Int] = []
        let deadline = ContinuousClock.now + .seconds(60)
        while numbers.count < count {
            guard ContinuousClock.now < deadline else {
                throw DevelopmentError("the workers did not look at the queue")
            }
            numbers = try await connection.query("SELECT pid FROM public.job_workers WHERE id LIKE \(name + "-%")").map
            {
                try $0.decode("pid", as: Int.self)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        await connection.close()
        return numbers
    }
}

extension Sequence<ProcessUsage> {
    var cpu: Duration { map(\.cpu).reduce(.zero, +) }
    var residentMegabytes: Double { map(\.residentMegabytes).reduce(0, +) }
    var peakMegabytes: Double { map(\.peakMegabytes).reduce(0, +) }
}
