import ArgumentParser

struct Alerts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what administrators are alerted to.",
        discussion: """
            Workers look for dead letters, queues that are too deep or in which nothing is completed, and workers that \
            fell silent. The settings WORKER_ALERT_… say from when on.
            """,
        subcommands: [AlertsList.self], defaultSubcommand: AlertsList.self)
}
