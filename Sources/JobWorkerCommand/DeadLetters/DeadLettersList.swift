import ArgumentParser
import Console
import JobWorker
import Postgres

struct DeadLettersList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists failed jobs and those set aside, newest first.",
        usage: "jobworker dlq list [<options>]")

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("With errors of this group, as 'dlq groups' lists them.", valueName: "group"))
    var group: String?

    @Option(help: ArgumentHelp("Most jobs to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @Option(help: ArgumentHelp("Begin where the last page ended: its next_cursor.", valueName: "cursor"))
    var cursor: JobCursor?

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        var filter = filter.filter
        filter.errorGroup = group
        if filter.statuses.isEmpty { filter.statuses = DeadLetters.statuses }
        let view = JobListView(try await common.session().store.jobs(filter, after: cursor, limit: limit))
        common.printer.show(view)
        if view.isEmpty { common.printer.hint("No job matches.") }
        if let next = view.next { common.printer.hint("There are more: --cursor \(next.text)") }
    }
}
