import FoundationEssentials
import Logging
import Postgres
import Synchronization
import Testing

@testable import JobWorker

/// What a job's lines say of it, whatever handler writes them.
@Suite struct JobLoggerTests {
    private let job: Job = {
        let (id, now) = (UUID(), Timestamp(microseconds: 0))
        return Job(
            id: id, workspaceID: UUID(), type: "mail", queue: "slow", payload: JSONText("{}"), attempt: 3,
            createdAt: now, dueAt: now, startedAt: now)
    }()

    @Test(arguments: Kind.allCases, [true, false])
    func `each line says which job it is about`(kind: Kind, isLazy: Bool) {
        let lines = Recording()
        var logger = kind.logger(lines)
        logger[metadataKey: "WORKER_ID"] = "one"
        let jobLogger = logger.of(job, lazily: isLazy)
        jobLogger.info("began", metadata: ["ATTEMPT": "own"])
        jobLogger.info("went on")
        for line in lines.all {
            #expect(line["JOB_ID"] == "\(job.id.text)" && line["WORKSPACE_ID"] == "\(job.workspaceID.text)")
            #expect(line["JOB_TYPE"] == "mail" && line["JOB_QUEUE"] == "slow" && line["WORKER_ID"] == "one")
        }
        #expect(
            lines.all.map { $0["ATTEMPT"] } == Array(repeating: "own", count: kind.count)
                + Array(repeating: "3", count: kind.count))
        #expect(lines.all.count == 2 * kind.count)
    }

    @Test func `what the program adds to each line stays`() {
        let lines = Recording()
        let provider = Logger.MetadataProvider { ["TRACE": "7", "JOB_TYPE": "somebody else's"] }
        let logger = Logger(label: "test") { _ in WithProvider(lines: lines, metadataProvider: provider) }
            .of(job, lazily: true)
        logger.info("began")
        #expect(lines.all.first?["TRACE"] == "7" && lines.all.first?["JOB_TYPE"] == "mail")
    }

    @Test func `a processor finds the facts in the logger of a program's own handler`() {
        let logger = Kind.without.logger(Recording()).of(job, lazily: false)
        #expect(logger[metadataKey: "JOB_ID"] == "\(job.id.text)" && logger[metadataKey: "ATTEMPT"] == "3")
    }

    @Test func `a line that is left out costs no text`() {
        let asked = Mutex(0)
        let provider = Logger.MetadataProvider {
            asked.withLock { $0 += 1 }
            return [:]
        }
        let logger = Logger(label: "test") { _ in WithProvider(lines: nil, metadataProvider: provider) }.of(
            job, lazily: true)
        logger.info("began")
        #expect(asked.withLock { $0 } == 0)
    }

    enum Kind: CaseIterable {
        case withProvider, without, multiplex

        var count: Int { self == .multiplex ? 2 : 1 }

        fileprivate func logger(_ lines: Recording) -> Logger {
            Logger(label: "test") { _ in
                switch self {
                case .withProvider: WithProvider(lines: lines)
                case .without: Without(lines: lines)
                case .multiplex: MultiplexLogHandler([WithProvider(lines: lines), Without(lines: lines)])
                }
            }
        }
    }
}

private final class Recording: Sendable {
    private let lines = Mutex<[Logger.Metadata]>([])
    var all: [Logger.Metadata] { lines.withLock { $0 } }
    func add(_ line: Logger.Metadata) { lines.withLock { $0.append(line) } }
}

private struct WithProvider: LogHandler {
    /// `nil`: it leaves all lines out.
    let lines: Recording?
    var metadataProvider: Logger.MetadataProvider?
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard let lines else { return }
        let own = metadata.merging(metadataProvider?.get() ?? [:]) { $1 }
        lines.add(own.merging(event.metadata ?? [:]) { $1 })
    }
}

private struct Without: LogHandler {
    let lines: Recording
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        // swift-log says once, in a debug build, that this handler takes no provider.
        guard !event.message.description.hasPrefix("Attempted to set metadataProvider") else { return }
        lines.add(metadata.merging(event.metadata ?? [:]) { $1 })
    }
}
