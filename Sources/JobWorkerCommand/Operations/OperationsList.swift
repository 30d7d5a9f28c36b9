import ArgumentParser
import Console
import JobWorker
import Postgres

struct OperationsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists operations, the latest first.",
        usage: "jobworker operations list [<options>]")

    @Option(help: ArgumentHelp("Most to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        let operations = try await common.session().store.operations(limit: limit)
        common.printer.show(OperationListView(operations))
        if operations.isEmpty {
            common.printer.hint(
                "There are no operations. Bulk changes with --rate, --canary or --stop-on-errors begin one.")
        }
    }
}
