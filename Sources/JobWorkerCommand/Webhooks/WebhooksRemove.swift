import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WebhooksRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes an endpoint, its secret and its deliveries.")

    @Argument(help: "The endpoint's id.")
    var webhook: UUID

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        common.printer.show(
            WebhookListView([try await session.store.removeWebhook(webhook, by: session.requester)]))
        common.printer.remark("Removed.")
    }
}
