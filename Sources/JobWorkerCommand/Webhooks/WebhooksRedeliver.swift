import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WebhooksRedeliver: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redeliver",
        abstract: "Sends a delivery once more, under the same id.",
        discussion: "Also one that was heard. It is tried for a day again.")

    @Argument(help: "The delivery's id, as 'deliveries' lists it.")
    var delivery: UUID

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        common.printer.show(
            DeliveryListView([try await session.store.redeliver(delivery, by: session.requester)]))
    }
}
