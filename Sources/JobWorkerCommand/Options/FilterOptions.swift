import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Postgres

/// Which jobs are meant. Options of one name add up, those of different names all have to hold.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Of this workspace.", valueName: "uuid"), completion: Completions.workspaces)
    var workspace: UUID?

    @Option(
        help: ArgumentHelp("In this queue; may be given several times.", valueName: "name"),
        completion: Completions.queues)
    var queue: [String] = []

    @Option(
        help: ArgumentHelp("Of this type; may be given several times.", valueName: "type"),
        completion: Completions.types)
    var type: [String] = []

    @Option(help: ArgumentHelp("In this state; may be given several times.", valueName: "status"))
    var status: [JobStatus] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Of this priority: high, normal, low or -10 to 10.", valueName: "priority"),
        completion: .list(["high", "normal", "low"]), transform: priorityNumber)
    var priority: Int?

    @Option(
        help: ArgumentHelp("Added longer ago than this: 10m, 2h, 1d.", valueName: "length"), transform: lengthOfTime)
    var olderThan: Duration?

    @Option(help: ArgumentHelp("Added no longer ago than this.", valueName: "length"), transform: lengthOfTime)
    var newerThan: Duration?

    @Option(
        help: ArgumentHelp(
            "Added at this time or later: 2026-03-02T08:15:00Z or '2026-03-02 08:15'.", valueName: "time"),
        transform: pointInTime)
    var since: Timestamp?

    @Option(help: ArgumentHelp("Added before this time.", valueName: "time"), transform: pointInTime)
    var until: Timestamp?

    @Option(
        help: ArgumentHelp("That this worker runs, or ran last.", valueName: "id"), completion: Completions.workers)
    var worker: String?

    @Option(help: ArgumentHelp("With this unique key.", valueName: "key"))
    var uniqueKey: String?

    @Option(help: ArgumentHelp("With this in the error message, or at the start of the id.", valueName: "text"))
    var search: String?

    /// An empty text is a variable that a script forgot to set: as a filter it could mean every job.
    func validate() throws {
        let texts = [("--worker", worker), ("--unique-key", uniqueKey), ("--search", search)]
        let lists = [("--queue", queue), ("--type", type)].flatMap { name, values in values.map { (name, $0) } }
        for (name, value) in texts + lists where value?.isEmpty == true {
            throw ValidationError("\(name) must not be empty; leave it out to mean all.")
        }
    }

    var filter: JobFilter {
        var filter = JobFilter()
        filter.workspaceID = workspace
        filter.queues = queue
        filter.types = type
        filter.statuses = status
        filter.priority = priority
        filter.olderThan = olderThan
        filter.newerThan = newerThan
        filter.since = since
        filter.until = until
        filter.workerID = worker
        filter.uniqueKey = uniqueKey
        filter.search = search
        return filter
    }
}
