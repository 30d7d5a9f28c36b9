import ArgumentParser

struct Limits: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Limits how much of a job type or a workspace runs.",
        discussion: "They hold over all workers. A job is held by every limit that it falls under.",
        subcommands: [LimitsList.self, LimitsSet.self, LimitsRemove.self], defaultSubcommand: LimitsList.self)
}
