import ArgumentParser
import Console
import JobWorker

struct JobsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists jobs, newest first.")

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("Most jobs to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Begin where the last page ended: its next_cursor.", valueName: "cursor"))
    var cursor: JobCursor?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        let page = try await common.session().store.jobs(filter.filter, after: cursor, limit: limit)
        common.printer.show(JobListView(page))
        if page.jobs.isEmpty { common.printer.hint("No job matches.") }
        if let next = page.next { common.printer.hint("There are more: --cursor \(next.text)") }
    }
}
