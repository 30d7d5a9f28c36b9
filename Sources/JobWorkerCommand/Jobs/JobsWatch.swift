import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct JobsWatch: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Shows jobs while they change.",
        discussion: """
            Redraws in place on a terminal, else prints a line for each change. Named jobs are watched until all have \
            ended, others until Ctrl-C. A single one is shown with its progress and what its log says.
            """)

    @Argument(help: "Ids of jobs; without any, the newest that the options mean.", completion: Completions.jobs)
    var ids: [UUID] = []

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("Most jobs to watch, or rows of one's log to begin with; 1 to 1000.", valueName: "n"))
    var limit = 20

    @Option(help: ArgumentHelp("Time between two looks.", valueName: "length"), transform: lengthOfTime)
    var interval = Duration.seconds(1)

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
        guard interval >= .milliseconds(100) else { throw ValidationError("--interval must be at least 100ms.") }
        guard ids.isEmpty || filter.filter.isEverything else {
            throw ValidationError("Name jobs, or give options that mean some.")
        }
    }

    @MainActor func run() async throws {
        let source = try common.session().source
        try await untilInterrupted {
            let watching = Watching(common.printer, interval: interval)
            if let id = ids.first, ids.count == 1 {
                try await watching.job(source, id: id, last: limit)
            } else {
                try await watching.jobs(source, ids: ids, filter: filter.filter, limit: limit)
            }
        }
    }
}
