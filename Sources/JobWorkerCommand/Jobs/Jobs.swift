import ArgumentParser

struct Jobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists, follows and changes jobs.",
        subcommands: [
            JobsList.self, JobsShow.self, JobsLogs.self, JobsWatch.self, JobsWait.self, JobsCancel.self, JobsRetry.self,
            JobsReplay.self, JobsDelete.self,
        ],
        defaultSubcommand: JobsList.self)
}
