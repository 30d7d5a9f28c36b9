import ArgumentParser

struct Webhooks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows and changes where events of jobs are sent.",
        discussion: """
            Workers send them: as soon as something has happened, and again for a day where the receiver doesn't answer \
            with a status of 200 to 299.

            Examples:
              jobworker webhooks add https://example.com/hooks --workspace $WS --event job.failed,job.dead_letter
              jobworker webhooks test $ID
              jobworker webhooks deliveries $ID --status failed
            """,
        subcommands: [
            WebhooksList.self, WebhooksAdd.self, WebhooksTest.self, WebhooksDeliveries.self, WebhooksRedeliver.self,
            WebhooksEnable.self, WebhooksDisable.self, WebhooksRemove.self,
        ], defaultSubcommand: WebhooksList.self)
}
