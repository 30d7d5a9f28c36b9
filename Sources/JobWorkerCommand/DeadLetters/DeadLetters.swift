import ArgumentParser
import JobWorker

struct DeadLetters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dlq",
        abstract: "Shows what failed for good, by its error, and settles it.",
        discussion: """
            Without --status, all of these mean failed jobs and those set aside (dead_letter); 'move' means failed ones.

            Examples:
              jobworker dlq groups --newer-than 1d
              jobworker dlq retry --group 3f2a90c41b7e --rate 10/s --stop-on-errors 20
              jobworker dlq discard --group 3f2a90c41b7e --reason 'the account is gone'
            """,
        subcommands: [
            DeadLettersGroups.self, DeadLettersList.self, DeadLettersRetry.self, DeadLettersMove.self,
            DeadLettersDiscard.self,
        ],
        defaultSubcommand: DeadLettersGroups.self)

    static let statuses: [JobStatus] = [.failed, .deadLetter]
}
