package import Development
import FoundationEssentials
import Glibc
import HTTPClient
import JobWorker
import Postgres

/// A `jobworker run` of its own process, with a stand-in for systemd.
package final class RunningDaemon: Sendable {
    package static let token = "a-token-of-the-tests-with-32-bytes"

    /// A program that runs a worker with the settings of its environment.
    package enum Program: String, Sendable {
        case jobworker
        /// With job types for tests.
        case testWorker = "test-worker"
    }

    package let directory: String
    package let workerID: String
    package let notify: NotifySocket
    package let logPath: String
    private let pidPath: String
    private let ownsDirectory: Bool
    private let process: TiedProcess
    private let client = Client()

    package var socketPath: String { directory + "/worker.sock" }
    package var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }
    package var lastLogLine: String { log.split(separator: "\n").last.map(String.init) ?? "" }

    /// Starts it; returns before it is ready.
    /// - Parameters:
    ///   - database: A connection string.
    ///   - directory: To take over from an earlier daemon; otherwise a new folder, which goes with this object.
    ///   - wrapper: A command that starts the program in its own place, as `prlimit` does.
    package init(
        database: String, directory: String? = nil, environment: [String: String] = [:], arguments: [String] = [],
        program: Program = .jobworker, wrapper: [String] = []
    ) throws {
        let number = String(UInt32.random(in: .min ... .max), radix: 36)
        ownsDirectory = directory == nil
        self.directory = directory ?? "/tmp/jobworker-e2e-\(getpid())-\(number)"
        workerID = environment["WORKER_ID"] ?? "e2e-\(number)"
        try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
        notify = try NotifySocket(path: "\(self.directory)/notify-\(number)")
        var variables = [
            "DATABASE_URL": database, "RUNTIME_DIRECTORY": self.directory, "NOTIFY_SOCKET": notify.path,
            "WORKER_ID": workerID, "WORKER_INSTANCE": "e2e", "WORKER_DIAGNOSTIC_JOBS": "true",
            "WORKER_SECRET_TOKEN": RunningDaemon.token, "WORKER_LOG_FORMAT": "json",
        ]
        variables.merge(environment) { $1 }
        logPath = "\(self.directory)/log-\(number)"
        pidPath = "\(self.directory)/pid-\(number)"
        process = TiedProcess(
            ["sh", "-c", "echo $$ >\"$0\"; exec \"$@\"", pidPath] + wrapper
                + [BuiltProgram.path(program.rawValue), "run"] + arguments,
            environment: variables, log: logPath)
    }

    deinit { if ownsDirectory { try? FileManager.default.removeItem(atPath: directory) } }

    package static func start(
        _ database: TestDatabase, directory: String? = nil, environment: [String: String] = [:],
        program: Program = .jobworker, wrapper: [String] = []
    ) async throws -> RunningDaemon {
        let daemon = try RunningDaemon(
            database: database.server.connectionString(database: database.name, role: TestDatabase.workerRole),
            directory: directory, environment: environment, program: program, wrapper: wrapper)
        try await daemon.waitUntilReady()
        return daemon
    }

    package func waitUntilReady() async throws {
        guard await notify.wait(within: .seconds(60), for: { $0 == "READY=1" }) != nil else {
            throw DevelopmentError("not ready; its log:\n\(log)")
        }
    }

    package func send(_ signal: TiedProcess.StopSignal) { process.send(signal) }

    /// Waits for its end. Killed if the test is given up meanwhile, as its suite's time limit does: nobody waits for a
    /// process that hangs.
    @discardableResult
    package func ended() async -> Int32? {
        await withTaskCancellationHandler {
            await process.ended()
        } onCancel: {
            if !process.hasEnded, let text = try? String(contentsOfFile: pidPath, encoding: .utf8),
                let pid = Int32(text.dropLast())
            {
                kill(pid, SIGKILL)
            }
        }
    }

    package func stop() async {
        process.send(.terminate)
        await ended()
        await client.shutdown()
    }

    /// Any signal, to the process itself, as early as it exists.
    package func signal(_ number: Int32) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            if let text = try? String(contentsOfFile: pidPath, encoding: .utf8), text.hasSuffix("\n"),
                let pid = Int32(text.dropLast())
            {
                kill(pid, number)
                return
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        throw DevelopmentError("\(workerID) has no process")
    }

    /// SIGKILL, and its end.
    package func die() async throws {
        try await signal(SIGKILL)
        await process.ended()
        await client.shutdown()
    }

    /// Two signals, the second once the first has been noticed: running jobs are given back at once.
    package func stopAtOnce() async throws {
        try await signal(SIGTERM)
        try await logs("stopping: running jobs may end")
        try await signal(SIGTERM)
        await process.ended()
        await client.shutdown()
    }

    /// Waits until its log says this.
    package func logs(_ text: String, within limit: Duration = .seconds(60)) async throws {
        let deadline = ContinuousClock.now + limit
        while !log.contains(text) {
            guard ContinuousClock.now < deadline else {
                throw DevelopmentError("the log never said '\(text)':\n\(log)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// The number of the process itself, as it told the database.
    package func processID(in database: TestDatabase) async throws -> Int32 {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            if let pid: Int = try await database.value("SELECT pid FROM public.job_workers WHERE id = \(workerID)") {
                return Int32(pid)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw DevelopmentError("\(workerID) is not in the table of workers")
    }

    /// Sends a request over the Unix socket.
    package func request(
        _ method: String, _ path: String, token: String? = nil, body: [UInt8]? = nil, timeout: Duration = .seconds(30)
    ) async throws -> (status: Int, body: String) {
        let response = try await client.send(
            Request(
                method: method, url: "http://worker\(path)",
                headers: token.map { [("Authorization", "Bearer \($0)")] } ?? [], body: body, timeout: timeout,
                unixSocketPath: socketPath))
        return (response.status, String(decoding: response.body, as: UTF8.self))
    }
}

/// Runs a program to its end.
package func runProgram(
    _ command: [String], environment: [String: String] = [:]
) async -> (status: Int32, output: String) {
    // By a file: of very many lines the process keeps only the last ones for its reader.
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("output-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: file) }
    let status = await TiedProcess(command, environment: environment, log: file.path).ended()
    return (status ?? -1, String(decoding: (try? Data(contentsOf: file)) ?? Data(), as: UTF8.self))
}
