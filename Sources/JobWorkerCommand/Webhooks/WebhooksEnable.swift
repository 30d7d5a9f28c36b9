import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WebhooksEnable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Lets an endpoint be told again, and forgets its failures.",
        discussion: "From now on: what happened while it was disabled is not made up for.")

    @OptionGroup var which: WebhookSwitch

    @MainActor func run() async throws { try await which.turn(true) }
}

struct WebhooksDisable: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disable", abstract: "Keeps an endpoint from being told anything.",
        discussion: "What waits to be sent to it fails.")

    @OptionGroup var which: WebhookSwitch

    @MainActor func run() async throws { try await which.turn(false) }
}

/// An endpoint to be turned on or off.
struct WebhookSwitch: ParsableArguments {
    @Argument(help: "The endpoint's id.")
    var webhook: UUID

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func turn(_ isOn: Bool) async throws {
        let session = try common.session(reason: why.reason)
        common.printer.show(
            WebhookListView([try await session.store.setEnabled(isOn, webhook: webhook, by: session.requester)]))
    }
}
