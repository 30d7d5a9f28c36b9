import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

/// Which jobs are meant. Options of one name add up, those of different names all have to hold.
struct FilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Of this workspace.", valueName: "uuid"))
    var workspace: UUID?

    @Option(help: ArgumentHelp("In this queue; may be given several times.", valueName: "name"))
    var queue: [String] = []

    @Option(help: ArgumentHelp("Of this type; may be given several times.", valueName: "type"))
    var type: [String] = []

    @Option(help: ArgumentHelp("In this state; may be given several times.", valueName: "status"))
    var status: [JobStatus] = []

    @Option(
        help: ArgumentHelp("Added longer ago than this: 10m, 2h, 1d.", valueName: "length"), transform: lengthOfTime)
    var olderThan: Duration?

    @Option(help: ArgumentHelp("Added no longer ago than this.", valueName: "length"), transform: lengthOfTime)
    var newerThan: Duration?

    @Option(help: ArgumentHelp("With this in the error message, or at the start of the id.", valueName: "text"))
    var search: String?

    var filter: JobFilter {
        var filter = JobFilter()
        filter.workspaceID = workspace
        filter.queues = queue
        filter.types = type
        filter.statuses = status
        filter.olderThan = olderThan
        filter.newerThan = newerThan
        filter.search = search
        return filter
    }
}
