import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct Limits: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Limits how much of a job type or a workspace runs.",
        discussion: "They hold over all workers. A job is held by every limit that it falls under.",
        subcommands: [LimitsList.self, LimitsSet.self, LimitsRemove.self], defaultSubcommand: LimitsList.self)
}

struct LimitsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the limits, and what of them is in use.",
        usage: "jobworker limits list [<options>]")

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let limits = try await common.session().store.limits()
        common.printer.show(LimitListView(limits))
        if limits.isEmpty { common.printer.hint("There are no limits. 'jobworker limits set' adds one.") }
    }
}

struct LimitsSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Sets a limit, in place of an earlier one of its name.",
        discussion: """
            It holds from the next claim on; running jobs go on. While there is any limit, all queues are looked at with \
            more care, which makes claims slower.
            """)

    @Argument(help: "A name for the limit.")
    var name: String

    @Option(help: ArgumentHelp("Jobs of this type.", valueName: "type"), completion: Completions.types)
    var type: String?

    @Option(help: ArgumentHelp("Jobs of this workspace.", valueName: "uuid"), completion: Completions.workspaces)
    var workspace: UUID?

    @Flag(help: "Counts each workspace by itself.")
    var eachWorkspace = false

    @Option(help: ArgumentHelp("Most of them at once.", valueName: "n"))
    var maxRunning: Int?

    @Option(
        help: ArgumentHelp("Most starts in a time: 100/min, 5/s, 1000/1h.", valueName: "n/time"),
        transform: LimitsSet.rate)
    var rate: JobLimit.Rate?

    @Option(help: ArgumentHelp("Most starts at once after a quiet time; a second's worth by default.", valueName: "n"))
    var burst: Int?

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    private static func rate(_ text: String) throws -> JobLimit.Rate {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let units = ["s": "1s", "sec": "1s", "m": "1m", "min": "1m", "h": "1h", "hour": "1h", "d": "1d", "day": "1d"]
        guard parts.count == 2, let starts = Int(parts[0]),
            let period = try? lengthOfTime(units[String(parts[1])] ?? String(parts[1]))
        else { throw ValidationError("must be a number and a time, such as 100/min, 5/s or 10/30s") }
        return JobLimit.Rate(starts: starts, period: period)
    }

    private var limit: JobLimit {
        var limit = JobLimit(name: name)
        limit.jobType = type
        limit.workspaceID = workspace
        limit.isForEachWorkspace = eachWorkspace
        limit.maxRunning = maxRunning
        limit.rate = rate
        limit.rate?.burst = burst
        return limit
    }

    func validate() throws {
        if burst != nil, rate == nil { throw ValidationError("--burst belongs to a --rate.") }
        if let maxRunning, maxRunning < 0 { throw ValidationError("--max-running must not be negative.") }
        if let mistake = limit.mistake {
            throw ValidationError(
                "\(mistake): see --type, --workspace, --each-workspace, --max-running, --rate.")
        }
    }

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        try await session.store.setLimit(limit, by: session.requester)
        common.printer.show(LimitListView(try await session.store.limits().filter { $0.limit.name == name }))
    }
}

struct LimitsRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes limits; what they held back may start at once.")

    @Argument(help: "Names of limits.")
    var names: [String]

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        for name in names {
            guard try await session.store.removeLimit(name, by: session.requester) else {
                throw Complaint(
                    .notFound, "there is no limit '\(name)'", advice: "'jobworker limits list' shows those there are.")
            }
        }
        common.printer.remark("Removed.")
    }
}
