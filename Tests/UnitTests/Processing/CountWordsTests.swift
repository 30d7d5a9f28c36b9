import FoundationEssentials
import JobWorker
import Logging
import Postgres
import ServiceLifecycle
import Synchronization
import Testing
import UnixSignals

// What README shows in "Add a job type", word for word; 'scripts/check-tree' compares.

/// Counts the words of a text: {"text": "…"}.
struct CountWords: JobProcessor {
    let jobTypes = ["count_words"]

    struct Payload: Decodable { var text: String }
    struct Result: Encodable { var words: Int }

    func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        guard let payload = try? job.payload.decode(Payload.self) else {
            // Trying again can't help: the job fails at once, and this is what its people read.
            throw JobFailure.permanent("Invalid payload: 'text' is missing or no text")
        }
        try await context.progress(50, "Counting")
        let words = payload.text.split(whereSeparator: \.isWhitespace).count
        try await context.log(.info, "Counted", metadata: ["words": .integer(Int64(words))])
        return try JSONText(encoding: Result(words: words))
    }
}

func serve(database: String) async throws {
    let logger = Logger(label: "words")
    var processors = ProcessorRegistry()
    try processors.register(CountWords())
    let worker = JobWorker(
        configuration: WorkerConfiguration(workerID: "words-1"),
        pool: ConnectionPool(ConnectionSettings(connectionString: database, applicationName: "words"), limit: 2),
        processors: processors, logger: logger)
    let services = ServiceGroup(services: [worker], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    try await services.run()
}

@Suite struct CountWordsTests {
    /// Keeps what an attempt reports.
    private final class Record: JobReporter {
        let texts = Mutex<[String]>([])

        func report(_ progress: JobProgress) async throws {
            texts.withLock { $0.append("\(progress.percentage) \(progress.message)") }
        }

        func log(_ entry: JobLogEntry) async throws { texts.withLock { $0.append("\(entry.level) \(entry.message)") } }
    }

    private func run(_ payload: String, reporter: Record = Record()) async throws -> JSONText? {
        let now = try #require(Timestamp(text: "2026-01-01T00:00:00Z"))
        let job = Job(
            id: UUID(), workspaceID: UUID(), type: "count_words", payload: JSONText(payload), createdAt: now,
            dueAt: now,
            startedAt: now)
        let context = JobContext(deadline: .now + .seconds(60), logger: Logger(label: "test"), reporter: reporter)
        return try await CountWords().process(job, context: context)
    }

    @Test func `README's processor counts words, and tells how far it is`() async throws {
        let record = Record()
        #expect(try await run(#"{"text": "one two  three"}"#, reporter: record)?.text == #"{"words":3}"#)
        #expect(record.texts.withLock { $0 } == ["50 Counting", "info Counted"])
    }

    @Test(arguments: ["{}", #"{"text": 1}"#, "[]"])
    func `README's processor refuses what is no text, for good`(payload: String) async throws {
        let failure = await #expect(throws: JobFailure.self) { try await run(payload) }
        #expect(failure?.kind == .permanent)
    }
}
