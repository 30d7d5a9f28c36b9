import ArgumentParser
import Console
import JobWorker

struct JobsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists jobs, newest first.", usage: "jobworker jobs list [<options>]")

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("Most jobs to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Begin where the last page ended: its next_cursor.", valueName: "cursor"))
    var cursor: JobCursor?

    @OptionGroup var watching: WatchOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        let source = try common.session().source
        let printer = common.printer
        let (filter, cursor, limit) = (filter.filter, cursor, limit)
        try await watching.show(printer) {
            JobListView(try await source.jobs(filter, after: cursor, limit: limit))
        } then: { view in
            if view.isEmpty { printer.hint("No job matches.") }
            if let next = view.next { printer.hint("There are more: --cursor \(next.text)") }
        }
    }
}
