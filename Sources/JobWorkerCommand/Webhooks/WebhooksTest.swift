import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WebhooksTest: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Sends an endpoint a message of the type 'test', and tells what came of it.",
        discussion: "A worker sends it. Status 1 where it was not heard, or not yet.")

    @Argument(help: "The endpoint's id.")
    var webhook: UUID

    @Option(
        help: ArgumentHelp("How long to wait for the outcome; 15s by default.", valueName: "length"),
        transform: lengthOfTime)
    var wait: Duration = .seconds(15)

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        var delivery = try await session.store.testWebhook(webhook, by: session.requester)
        let deadline = ContinuousClock.now + wait
        // A try that failed is to be seen, too: it has left an error.
        while delivery.status == "pending", delivery.error == nil, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(200))
            delivery = try await session.store.delivery(delivery.id) ?? delivery
        }
        common.printer.show(DeliveryListView([delivery]))
        guard delivery.status != "delivered" else { return }
        if delivery.attempts == 0 { common.printer.remark("No worker has sent it yet: see 'jobworker workers list'.") }
        throw ExitCode(ExitStatus.failed.rawValue)
    }
}
