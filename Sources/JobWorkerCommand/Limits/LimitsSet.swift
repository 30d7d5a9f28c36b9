import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

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
        if let maxRunning, !(0...100_000).contains(maxRunning) {
            throw ValidationError("--max-running must be from 0 to 100000.")
        }
        if let mistake = limit.mistake {
            throw ValidationError(
                limit.isIncomplete
                    ? "\(mistake): see --type, --workspace, --each-workspace, --max-running, --rate." : "\(mistake).")
        }
    }

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        try await session.store.setLimit(limit, by: session.requester)
        common.printer.show(LimitListView(try await session.store.limits().filter { $0.limit.name == name }))
    }
}
