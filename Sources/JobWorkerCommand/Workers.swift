import ArgumentParser
import Console
import JobWorker

struct Workers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the workers.", subcommands: [WorkersList.self], defaultSubcommand: WorkersList.self)
}

struct WorkersList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the workers of the last day, the living first.",
        usage: "jobworker workers list [<options>]")

    @OptionGroup var watching: WatchOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let source = try common.session().source
        let printer = common.printer
        try await watching.show(printer) {
            WorkerListView(try await source.workers())
        } then: { view in
            if view.isEmpty { printer.hint("No worker has been heard of.") }
        }
    }
}
