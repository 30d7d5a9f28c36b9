import ArgumentParser
import Console

struct Operations: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows and steers changes of many jobs, which the workers carry out.",
        discussion: "They are begun by 'jobs replay', 'dlq retry', 'dlq move' and 'dlq discard', and kept for a week.",
        subcommands: [
            OperationsList.self, OperationsShow.self, OperationsPause.self, OperationsResume.self, OperationsAbort.self,
        ],
        defaultSubcommand: OperationsList.self)
}
