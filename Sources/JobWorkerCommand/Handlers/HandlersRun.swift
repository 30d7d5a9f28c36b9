import ArgumentParser
import Console
import FoundationEssentials
import Handlers
import JobWorker
import Logging
import Postgres
import Settings

struct HandlersRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs one handler here and now, without the database.",
        discussion: """
            As the user that runs the command, and with an invented job. Progress and log rows go to standard error, the \
            result to standard output. Exit status: 0 when the job would be completed, 1 when it would fail or be tried \
            again, 2 when no file names the type, 130 when it was interrupted; its processes end first.
            """)

    @Argument(help: ArgumentHelp("The job type.", valueName: "type"))
    var type: String

    @Option(help: ArgumentHelp("JSON, @FILE or - for standard input; {} by default.", valueName: "payload"))
    var payload: String?

    @Option(help: ArgumentHelp("The workspace in the invented job.", valueName: "uuid"))
    var workspace: UUID?

    @Option(help: ArgumentHelp("The number of the attempt.", valueName: "n"))
    var attempt = 1

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(attempt) else { throw ValidationError("--attempt must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        let sources = common.sources
        let configuration = try Configuration.load(sources)
        let payload = try payload.map { try TextArgument.read($0, limit: JobDraft.payloadBytesMax) } ?? "{}"
        guard JSONCheck.accepts(payload) else { throw Complaint(.usage, "the payload is not JSON that a job can have") }
        let service = HandlerService(
            tokens: nil, version: WorkerProgram.current.version,
            credentials: sources.environment["CREDENTIALS_DIRECTORY"])
        let folder = configuration[Catalog.handlers]
        let own = try WorkerProgram.current.processors()
        let change = await service.load(folder, taken: Set(own.flatMap(\.jobTypes)))
        for problem in change.problems { common.printer.remark("jobworker: \(problem)") }
        guard let processor = (own + service.processors).first(where: { $0.jobTypes.contains(type) }) else {
            throw Complaint(.notFound, "no file in \(folder) has a handler for '\(type)'")
        }
        // Children of the program's own job types must not be taken for strays.
        if own.isEmpty { ProcessThread.shared.adoptStrays() }
        let now = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1e6))
        let job = Job(
            id: UUID(), workspaceID: workspace ?? UUID(), type: type, payload: JSONText(payload), attempt: attempt,
            createdAt: now, dueAt: now, startedAt: now)
        let limit = processor.terms.timeout ?? configuration[Catalog.jobTimeout]
        let reporter = PrintingReporter()
        let trial = await cancelledIfInterrupted {
            await HandlerTrial.run(processor, job, limit: limit, reporter: reporter)
        }
        await service.close()
        common.printer.show(HandlerTrialView(trial))
        if case .interrupted = trial.outcome { throw ExitCode(ExitStatus.interrupted.rawValue) }
        if !trial.isCompleted { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}

/// Prints what an attempt tells.
private struct PrintingReporter: JobReporter {
    func report(_ progress: JobProgress) async throws {
        await Printer(isJSON: false).remark("progress \(progress.percentage) % \(progress.message)")
    }

    func log(_ entry: JobLogEntry) async throws {
        await Printer(isJSON: false).remark("\(entry.level.rawValue) \(entry.message)")
    }
}
