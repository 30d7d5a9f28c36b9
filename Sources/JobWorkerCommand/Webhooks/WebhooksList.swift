import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WebhooksList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the endpoints, and what is wrong with them.")

    @Option(help: ArgumentHelp("Only those of this workspace.", valueName: "uuid"))
    var workspace: UUID?

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let endpoints = try await common.session().store.webhooks(in: workspace)
        common.printer.show(WebhookListView(endpoints))
        if endpoints.isEmpty { common.printer.hint("There are no webhooks. 'jobworker webhooks add' adds one.") }
    }
}
