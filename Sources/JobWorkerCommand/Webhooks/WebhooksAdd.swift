import ArgumentParser
import Console
import Doctor
import Enrichment
import FoundationEssentials
import JobWorker
import Webhooks

struct WebhooksAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Adds an endpoint, and prints its secret, once.",
        discussion: """
            Messages are signed with the secret as the Standard Webhooks specification says. The URL has to lead to a \
            public address unless WORKER_WEBHOOK_ALLOW_PRIVATE is set for the workers. Without --workspace it is an \
            endpoint of operators: it is told of alerts, and of no jobs.
            """)

    @Argument(help: "Where to send: https://…, or http://….")
    var url: String

    @Option(help: ArgumentHelp("The workspace whose jobs it is told of; alerts without.", valueName: "uuid"))
    var workspace: UUID?

    @Option(
        name: .customLong("event"),
        help: ArgumentHelp(
            """
            Only these: job.completed, job.failed, job.dead_letter, job.cancelled, job.retried; or alert.raised, \
            alert.resolved; may be a list.
            """,
            valueName: "event"))
    var events: [String] = []

    @Option(
        name: .customLong("type"),
        help: ArgumentHelp("Only about jobs of these types; may be a list.", valueName: "type"))
    var types: [String] = []

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        let secret = WebhookSecret.generate()
        let sealed = try secret.sealed(by: try session.configuration.keyVault(), workspace: workspace)
        let endpoint = try await session.store.addWebhook(
            url, in: workspace, events: WebhooksAdd.list(events), jobTypes: WebhooksAdd.list(types),
            sealedSecret: sealed, by: session.requester)
        common.printer.show(AddedWebhookView(endpoint, secret: secret.reveal()))
        common.printer.remark("The secret is shown this once. 'jobworker webhooks test' sends a first message.")
    }

    private static func list(_ words: [String]) -> [String]? {
        let all = words.flatMap { $0.split(separator: ",").map(String.init) }
        return all.isEmpty ? nil : all
    }
}
