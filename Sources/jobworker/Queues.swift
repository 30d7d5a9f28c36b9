import ArgumentParser
import Console
import JobWorker

struct Queues: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the queues.", subcommands: [QueuesList.self], defaultSubcommand: QueuesList.self)
}

struct QueuesList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the queues: what waits and runs in them.")

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let queues = try await common.session().store.queues()
        common.printer.show(QueueListView(queues))
        if queues.isEmpty { common.printer.hint("Nothing waits or runs, and no queue is set up.") }
    }
}
