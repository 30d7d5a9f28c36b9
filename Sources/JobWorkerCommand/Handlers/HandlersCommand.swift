import ArgumentParser

struct HandlersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "handlers", abstract: "Shows, checks and tries the job types that programs and endpoints serve.",
        discussion: """
            They stand in the files of the folder WORKER_HANDLERS; none of these commands needs the database. After a \
            change: 'jobworker handlers check', then 'systemctl reload jobworker'.

            Examples:
              jobworker handlers list
              jobworker handlers run send_report --payload '{"to": "a@example.com"}'
            """,
        subcommands: [HandlersList.self, HandlersCheck.self, HandlersRun.self], defaultSubcommand: HandlersList.self)
}
