import ArgumentParser
import Console
import JobWorker
import Postgres

struct DeadLettersGroups: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "groups", abstract: "Lists what failed by type and error, the largest group first.",
        usage: "jobworker dlq groups [<options>]",
        discussion: "Numbers, ids, quoted parts and hosts count as the same in an error.")

    @OptionGroup var filter: FilterOptions

    @Option(help: ArgumentHelp("Most groups to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        var filter = filter.filter
        if filter.statuses.isEmpty { filter.statuses = DeadLetters.statuses }
        let groups = try await common.session().store.errorGroups(filter, limit: limit)
        common.printer.show(ErrorGroupsView(groups))
        if groups.isEmpty { common.printer.hint("Nothing has failed for good.") }
    }
}
