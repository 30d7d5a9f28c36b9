import ArgumentParser
import Console
import Doctor
import JobWorker

struct Workers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows the workers.", subcommands: [WorkersList.self], defaultSubcommand: WorkersList.self)
}

struct WorkersList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the workers of the last day, the living first.")

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session()
        let workers = try await session.store.workers(silence: session.configuration.workerSilence)
        common.printer.show(WorkerListView(workers))
        if workers.isEmpty { common.printer.hint("No worker has been heard of.") }
    }
}
