import Enrichment
import FoundationEssentials
import HTTPClient
import JobWorker
import Postgres
import Subprocess
import Support
import Synchronization
import Testing
import Webhooks

/// Endpoints in a test's database, what is sent to them, and a receiver.
struct WebhookScene {
    let database: TestDatabase
    let vault: KeyVault
    let secret = WebhookSecret.generate()

    init(_ database: TestDatabase) throws {
        self.database = database
        vault = try KeyVault(parsing: KeyVault.generateKey(id: "first"))
    }

    /// Adds an endpoint; its secret is the scene's.
    @discardableResult
    func endpoint(
        _ url: String, events: [String]? = nil, jobTypes: [String]? = nil, workspace: UUID? = TestDatabase.workspace
    ) async throws -> UUID {
        let sealed = try secret.sealed(by: vault, workspace: workspace)
        let rows = try await database.query(
            """
            INSERT INTO public.webhook_endpoints (workspace_id, url, events, job_types, secret_encrypted)
            VALUES (\(workspace), \(url), \(events), \(jobTypes), \(sealed)) RETURNING id
            """)
        return try #require(rows.first).decode("id")
    }

    /// Runs a worker that sends to this machine while `body` runs.
    func withSender<Value: Sendable>(
        _ processors: any JobProcessor..., client: Client = Client(), reachesPrivate: Bool = true,
        counting tries: FailedTries? = nil, change: (inout WorkerConfiguration) -> Void = { _ in },
        _ body: (JobWorker::JobWorker) async throws -> Value
    ) async throws -> Value {
        let sender = WebhookSender(client: client, vault: vault)
        let worker = try makeSender(
            processors, reachesPrivate: reachesPrivate,
            transport: tries.map { CountingSender(sender: sender, tries: $0) } ?? sender, change: change)
        let running = Task { try await worker.run() }
        defer { worker.hurry() }
        let value = try await body(worker)
        worker.hurry()
        try await running.value
        return value
    }

    /// A worker that sends to this machine.
    func sender(
        _ processors: any JobProcessor..., transport: (any WebhookTransport)? = nil
    ) throws -> JobWorker::JobWorker {
        try makeSender(processors, transport: transport ?? WebhookSender(client: Client(), vault: vault))
    }

    private func makeSender(
        _ processors: [any JobProcessor], reachesPrivate: Bool = true, transport: any WebhookTransport,
        change: (inout WorkerConfiguration) -> Void = { _ in }
    ) throws -> JobWorker::JobWorker {
        try database.makeWorker(
            processors,
            change: {
                $0.webhooksReachPrivate = reachesPrivate
                change(&$0)
            }, webhooks: transport)
    }

    /// Waits until so many deliveries are in this state.
    func until(_ condition: String, count: Int = 1, atMost limit: Duration = .seconds(40)) async throws {
        try await eventually("\(count) deliveries where \(condition)", atMost: limit) {
            try await database.count(condition, of: "public.webhook_deliveries") >= count
        }
    }

    func deliveries(_ condition: String = "true") async throws -> Int {
        try await database.count(condition, of: "public.webhook_deliveries")
    }
}

/// Tries that didn't succeed: on a machine that is very busy one may take longer than its ten seconds.
final class FailedTries: Sendable {
    private let stored = Mutex(0)

    var count: Int { stored.withLock { $0 } }
    func add() { stored.withLock { $0 += 1 } }
}

private struct CountingSender: WebhookTransport {
    let sender: WebhookSender
    let tries: FailedTries

    func send(_ delivery: WebhookDelivery, reachesPrivate: Bool) async -> WebhookAnswer? {
        let answer = await sender.send(delivery, reachesPrivate: reachesPrivate)
        if answer?.outcome != .delivered { tries.add() }
        return answer
    }
}

/// What a receiver has got, by arrival.
final class Mailbox: Sendable {
    private let letters = Mutex<[ScriptedHTTPServer.Received]>([])

    var all: [ScriptedHTTPServer.Received] { letters.withLock { $0 } }
    func put(_ letter: ScriptedHTTPServer.Received) { letters.withLock { $0.append(letter) } }

    /// Different messages, by their ids.
    var ids: Set<String> { Set(all.compactMap { $0.header("webhook-id") }) }
}

/// What Python prints when it runs a script with these arguments.
func python(_ script: String, _ arguments: String...) async throws -> String {
    let result = try await Subprocess.run(
        .name("python3"), arguments: Arguments(["-c", script] + arguments), output: .string(limit: 1 << 20),
        error: .string(limit: 1 << 20))
    try #require(result.terminationStatus == .exited(0), "\(result.standardError)")
    return result.standardOutput.split(separator: "\n").joined(separator: "\n")
}
