import FoundationEssentials
import Glibc
import Handlers
import JobWorker
import Logging
import Postgres

/// What handlers cost: a program for each job, beside bare fork and exec of it; and kept programs. Without a database.
package struct HandlerBench: Sendable {
    package struct Result: Sendable, Encodable {
        /// Milliseconds of a job by `/bin/true`, and of starting and awaiting it alone.
        package let program: Comparison
        /// Of the medians, the first less the second.
        package let addedMilliseconds: Double
        /// Jobs a second through kept programs.
        package let keptJobsPerSecond: Double
        package let keptPrograms: Int
    }

    private let jobs: Int
    private let pool: Int

    package init(jobs: Int, pool: Int) {
        self.jobs = jobs
        self.pool = pool
    }

    package func run() async throws -> Result {
        var (measured, bare): ([Double], [Double]) = ([], [])
        let single = processor(command: ["/bin/true"], pool: nil)
        for _ in 0..<jobs {
            measured.append(
                try await HandlerBench.milliseconds { _ = try await single.process(job(), context: context) })
            bare.append(await HandlerBench.milliseconds { await HandlerBench.startBare("/bin/true") })
        }
        let comparison = Comparison(measured, to: bare)
        let kept = try await keptRate()
        return Result(
            program: comparison, addedMilliseconds: comparison.measured.p50 - comparison.compared.p50,
            keptJobsPerSecond: kept, keptPrograms: pool)
    }

    private func keptRate() async throws -> Double {
        let processor = processor(command: ["sed", "-u", "s/.*/{\"result\":1}/"], pool: pool)
        let each = jobs * 10
        // The first job of each starts it.
        try await work(processor, each: 1)
        let milliseconds = try await HandlerBench.milliseconds { try await work(processor, each: each) }
        await processor.closePool()
        return Double(each * pool) / milliseconds * 1000
    }

    private func work(_ processor: ExecProcessor, each: Int) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<pool {
                group.addTask { for _ in 0..<each { _ = try await processor.process(job(), context: context) } }
            }
            try await group.waitForAll()
        }
    }

    private func processor(command: [String], pool: Int?) -> ExecProcessor {
        var settings = ExecSettings(command: command, directory: "/")
        settings.poolSize = pool
        return ExecProcessor(HandlerDefinition(jobType: "bench", exec: settings), settings)
    }

    private func job() -> Job {
        let now = Timestamp(microseconds: 0)
        return Job(
            id: UUID(), workspaceID: UUID(), type: "bench", payload: JSONText("{}"), createdAt: now, dueAt: now,
            startedAt: now)
    }

    private var context: JobContext {
        JobContext(
            deadline: .now + .seconds(60), logger: Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() }),
            reporter: NoReporter())
    }

    private struct NoReporter: JobReporter {
        func report(_ progress: JobProgress) async throws {}
        func log(_ entry: JobLogEntry) async throws {}
    }

    private static func milliseconds(_ body: () async throws -> Void) async rethrows -> Double {
        let parts = try await ContinuousClock().measure(body).components
        return Double(parts.seconds) * 1000 + Double(parts.attoseconds) / 1e15
    }

    /// On a thread of its own, as it blocks.
    private static func startBare(_ path: String) async {
        await withCheckedContinuation { continuation in
            let box = Unmanaged.passRetained(Box(path, continuation)).toOpaque()
            var thread = pthread_t()
            let result = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    let box = Unmanaged<Box>.fromOpaque(argument).takeRetainedValue()
                    var pid = pid_t()
                    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(box.path), nil]
                    if posix_spawn(&pid, box.path, nil, nil, &arguments, nil) == 0 { waitpid(pid, nil, 0) }
                    free(arguments[0])
                    box.continuation.resume()
                    return nil
                }, box)
            precondition(result == 0, "pthread_create: \(String(cString: strerror(result)))")
            pthread_detach(thread)
        }
    }

    private final class Box: Sendable {
        let path: String
        let continuation: CheckedContinuation<Void, Never>

        init(_ path: String, _ continuation: CheckedContinuation<Void, Never>) {
            self.path = path
            self.continuation = continuation
        }
    }
}
