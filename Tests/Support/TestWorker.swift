package import JobWorker
package import Logging
package import Postgres
import Synchronization

/// Job types whose course a test writes down.
package struct ScriptedProcessor: JobProcessor {
    package let jobTypes: [String]
    package var terms = ProcessorTerms()
    private let body: @Sendable (Job, JobContext) async throws -> JSONText?

    package init(
        _ jobTypes: String..., body: @escaping @Sendable (Job, JobContext) async throws -> JSONText? = { _, _ in nil }
    ) {
        self.jobTypes = jobTypes
        self.body = body
    }

    package func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        try await body(job, context)
    }
}

extension TestDatabase {
    /// Runs a worker with the worker's rights while `body` runs; stops it properly at the end.
    ///
    /// - Parameters:
    ///   - through: How it reaches the database, where that isn't straight; LISTEN too, unless `listen` is given.
    ///   - change: The configuration starts with intervals that suit a test.
    package func withWorker<Value: Sendable>(
        _ processors: any JobProcessor..., through: ConnectionSettings? = nil, listen: ConnectionSettings? = nil,
        change: (inout WorkerConfiguration) -> Void = { _ in },
        check: @escaping JobWorker::JobWorker.TypeCheck = { [:] }, webhooks: (any WebhookTransport)? = nil,
        logger: Logger = .silent, _ body: (JobWorker::JobWorker) async throws -> Value
    ) async throws -> Value {
        let worker = try makeWorker(
            processors, through: through, listen: listen, change: change, check: check, webhooks: webhooks,
            logger: logger)
        let running = Task { try await worker.run() }
        do {
            let value = try await body(worker)
            worker.hurry()
            try await running.value
            return value
        } catch {
            worker.hurry()
            _ = try? await running.value
            throw error
        }
    }

    package func makeWorker(
        _ processors: [any JobProcessor], through: ConnectionSettings? = nil, listen: ConnectionSettings? = nil,
        change: (inout WorkerConfiguration) -> Void = { _ in },
        check: @escaping JobWorker::JobWorker.TypeCheck = { [:] }, webhooks: (any WebhookTransport)? = nil,
        logger: Logger = .silent
    ) throws -> JobWorker::JobWorker {
        var configuration = WorkerConfiguration(workerID: "worker-\(UInt32.random(in: .min ... .max))")
        configuration.host = "test"
        configuration.pollInterval = .seconds(300)
        configuration.heartbeatInterval = .milliseconds(200)
        configuration.cancellationGrace = .milliseconds(500)
        configuration.lifecycleLogs = .debug
        change(&configuration)
        var registry = ProcessorRegistry()
        for processor in processors { try registry.register(processor) }
        return JobWorker::JobWorker(
            configuration: configuration, pool: ConnectionPool(through ?? workerSettings, limit: 2), listen: listen,
            processors: registry, logger: logger, webhooks: webhooks, check: check)
    }

    /// Waits until a condition about the table holds.
    package func waitUntil(
        _ condition: String, of table: String = "public.jobs", atMost limit: Duration = .seconds(20)
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while try await count(condition, of: table) == 0 {
            guard ContinuousClock.now < deadline else { throw NeverTrue(condition: condition) }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Waits until so many workers have nothing to do and wait to be woken.
    package func waitUntilIdle(workers count: Int = 1) async throws {
        try await eventually("\(count) workers wait") {
            try await self.count("true", of: "jobworker.waiting_workers") == count
        }
    }

    /// Waits until no job is pending or running.
    package func waitUntilQuiet(atMost limit: Duration = .seconds(60)) async throws {
        let deadline = ContinuousClock.now + limit
        while try await count("status IN ('pending', 'processing') OR lease_open") > 0 {
            guard ContinuousClock.now < deadline else { throw NeverTrue(condition: "no job is pending or running") }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

extension Logger {
    /// Writes nothing.
    package static var silent: Logger { Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }) }
}

/// Waits until something is true that nobody tells.
package func eventually(
    _ what: String, atMost limit: Duration = .seconds(60), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw NeverTrue(condition: what) }
        try await Task.sleep(for: .milliseconds(10))
    }
}

package struct NeverTrue: Error, CustomStringConvertible {
    package let condition: String

    package init(condition: String) { self.condition = condition }

    package var description: String { "this never came true: \(condition)" }
}

/// A gate that jobs of a test wait at, or announce themselves with.
package final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

    package init() {}

    package var isOpen: Bool { state.withLock { $0.isOpen } }

    package func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Waits until it is open; for the test itself, which must not stand still.
    /// - Throws: `NeverTrue` after a minute.
    package func opened() async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while !isOpen {
            guard ContinuousClock.now < deadline else { throw NeverTrue(condition: "a job passes the gate") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Returns once it is open, whatever becomes of the task; for jobs.
    package func passed() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

/// Counts by name, from any task.
package final class Counter<Key: Hashable & Sendable>: Sendable {
    private let counts = Mutex<[Key: Int]>([:])

    package init() {}

    package func add(_ key: Key, _ number: Int = 1) { counts.withLock { $0[key, default: 0] += number } }
    package subscript(key: Key) -> Int { counts.withLock { $0[key] ?? 0 } }
    package var all: [Key: Int] { counts.withLock { $0 } }
}
