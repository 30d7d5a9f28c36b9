import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Postgres

struct Enqueue: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Adds a job and prints its id.",
        usage: """
            jobworker enqueue <type> --workspace <uuid> [<options>]
            jobworker enqueue --batch <file> [<options>]
            """,
        discussion: """
            A batch file holds a JSON object a line: {"workspace_id": …, "job_type": …, "payload": …}, and job_queue, \
            priority, scheduled_for, max_attempts, timeout_seconds, unique_key. What a line leaves out is taken from \
            the options.

            Examples:
              jobworker enqueue report --workspace $WS --payload @report.json --wait
              jobworker enqueue report --workspace $WS --at '2026-03-02 08:15'
              jobworker enqueue --batch jobs.jsonl --workspace $WS --queue imports
            """)

    @Argument(help: "The job type.", completion: Completions.types)
    var type: String?

    @Option(help: ArgumentHelp("The workspace.", valueName: "uuid"), completion: Completions.workspaces)
    var workspace: String?

    @Option(help: ArgumentHelp("JSON, @FILE or - for standard input; {} by default.", valueName: "payload"))
    var payload: String?

    @Option(
        help: ArgumentHelp("The queue; 'default' by default.", valueName: "name"), completion: Completions.queues)
    var queue: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("high (5), normal (0), low (-5), or a number from -10 to 10.", valueName: "priority"),
        completion: .list(["high", "normal", "low"]))
    var priority: String?

    @Option(
        help: ArgumentHelp("Not before this: 2026-03-02T08:15:00Z, '2026-03-02 08:15' or 08:15.", valueName: "time"),
        transform: pointInTime)
    var at: Timestamp?

    @Option(
        name: .customLong("in"), help: ArgumentHelp("Not before so long from now: 10m.", valueName: "length"),
        transform: lengthOfTime)
    var delay: Duration?

    @Option(help: ArgumentHelp("Most attempts, the first included; 5 by default.", valueName: "n"))
    var maxAttempts: String?

    @Option(help: ArgumentHelp("Longest time for an attempt: 15m.", valueName: "length"), transform: lengthOfTime)
    var timeout: Duration?

    @Option(
        help: ArgumentHelp(
            "While a job of this workspace and type with this key waits or runs, no other is added.", valueName: "key"))
    var uniqueKey: String?

    @Option(
        help: ArgumentHelp(
            "Start only once this job has completed; may be given several times. Cancelled if that one doesn't.",
            valueName: "job"))
    var after: [UUID] = []

    @Option(
        help: ArgumentHelp("Add a job for each line of a file, or of standard input (-).", valueName: "file"),
        completion: .file())
    var batch: String?

    @Flag(help: "Wait until it has ended; status 1 unless it completed.")
    var wait = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if at != nil && delay != nil { throw ValidationError("--at and --in exclude each other.") }
        if wait && batch != nil { throw ValidationError("--wait is for a single job.") }
        if !after.isEmpty && batch != nil { throw ValidationError("--after is for a single job.") }
        if type == nil && batch == nil { throw ValidationError("Name the job type, or a file with --batch.") }
        if batch == "-" && payload == "-" { throw ValidationError("Standard input can't be both, jobs and payload.") }
    }

    @MainActor func run() async throws {
        let draft = try draft()
        if let batch {
            try await add(JobFile(path: batch, defaults: draft))
        } else {
            try await add(try draft.checkedForCommand())
        }
    }

    @MainActor private func draft() throws -> JobDraft {
        var draft = JobDraft()
        draft.workspaceID = workspace
        draft.type = type
        draft.payload = try payload.map { try TextArgument.read($0, limit: JobDraft.payloadBytesMax) }
        draft.queue = queue
        draft.priority = priority
        draft.scheduledFor = at
        draft.maxAttempts = maxAttempts
        draft.timeout = timeout
        draft.uniqueKey = uniqueKey
        return draft
    }

    @MainActor private func add(_ job: NewJob) async throws {
        let session = try common.session()
        let printer = common.printer
        let enqueuing = Enqueuing(session.store, by: session.requester)
        let added =
            after.isEmpty
            ? try await enqueuing.add([job], after: delay) : [try await enqueuing.add(job, behind: after, after: delay)]
        guard let enqueued = added.first else { return }
        if enqueued.isDuplicate { printer.remark("A job with this unique key is there already.") }
        guard wait else { return printer.show(EnqueuedView(enqueued)) }
        if !common.json { printer.show(EnqueuedView(enqueued)) }
        let display = ProgressDisplay()
        let ended = try await JobWaiting(session.source, ids: [enqueued.id]).run(report: display.show)
        display.clear()
        if common.json {
            printer.show(EnqueuedView(enqueued, ended: try await session.store.job(withID: enqueued.id)))
        }
        for job in ended {
            if let complaint = job.complaint { throw complaint }
            printer.remark(EndedLine(job))
        }
    }

    @MainActor private func add(_ file: JobFile) async throws {
        let session = try common.session()
        let printer = common.printer
        let tally = try await Enqueuing(session.store, by: session.requester).add(file, after: delay) { jobs in
            if common.json {
                jobs.forEach { printer.stream(EnqueuedView($0)) }
            } else {
                printer.lines(jobs.map(\.id.text))
            }
        }
        let duplicates = tally.duplicates > 0 ? ", \(tally.duplicates) were there already" : ""
        printer.remark("\(tally.added) jobs added\(duplicates).")
    }
}
