import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WorkflowSplit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Splits a long list into jobs, with one after them that shows how far they are.",
        discussion: """
            The list holds a JSON value a line. Each chunk's payload is that of --payload with items, chunk and chunks; \
            the last job's has results, an object with the result of each chunk. Prints the workflow's id, or with \
            --wait the last job's course: its progress is the share of the chunks that have ended.
            """)

    @Argument(help: "The job type of the chunks.", completion: Completions.types)
    var type: String

    @Option(help: ArgumentHelp("The job type after them.", valueName: "type"), completion: Completions.types)
    var finally: String

    @Option(help: ArgumentHelp("A file with a JSON value a line, or - for standard input.", valueName: "file"))
    var items: String

    @Option(help: ArgumentHelp("Items of a chunk.", valueName: "n"))
    var size = 100

    @Option(help: ArgumentHelp("The workspace.", valueName: "uuid"), completion: Completions.workspaces)
    var workspace: UUID

    @Option(help: ArgumentHelp("Name of the workflow.", valueName: "text"))
    var name: String?

    @Option(help: ArgumentHelp("An object whose members every payload gets: JSON or @FILE.", valueName: "payload"))
    var payload: String?

    @Option(help: ArgumentHelp("The queue; 'default' by default.", valueName: "name"), completion: Completions.queues)
    var queue = "default"

    @Option(
        help: ArgumentHelp("If a chunk doesn't complete, the last job is cancelled, or runs.", valueName: "cancel|run"))
    var onFailure = "cancel"

    @Flag(help: "Wait until the last job has ended; status 1 unless it completed.")
    var wait = false

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...100_000).contains(size) else { throw ValidationError("--size must be from 1 to 100000.") }
        guard LinkedJob.OnDependencyFailure(rawValue: onFailure) != nil else {
            throw ValidationError("--on-failure must be cancel or run.")
        }
    }

    @MainActor func run() async throws {
        let jobs = try LinkedJob.chunks(
            of: try ItemList.read(items == "-" ? "-" : "@" + items), size: size, type: type, finally: finally,
            payload: try payload.map { try ItemList.members(of: $0) } ?? [],
            onDependencyFailure: LinkedJob.OnDependencyFailure(rawValue: onFailure) ?? .cancel, queue: queue)
        let session = try common.session(reason: why.reason)
        let printer = common.printer
        let id = try await session.store.addWorkflow(
            try LinkedJob.list(jobs), named: name, in: workspace, by: session.requester)
        guard wait else { return printer.show(AddedJobView(id)) }
        if !common.json { printer.show(AddedJobView(id)) }
        guard let last = try await session.store.step("all", ofWorkflow: id) else {
            throw Complaint(.notFound, "the workflow's last job is gone")
        }
        let display = ProgressDisplay()
        let ended = try await JobWaiting(session.source, ids: [last]).run(report: display.show)
        display.clear()
        if common.json { printer.show(AddedJobView(id)) }
        for job in ended {
            if let complaint = job.complaint { throw complaint }
            printer.remark(EndedLine(job))
        }
    }
}
