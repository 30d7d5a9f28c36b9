import ArgumentParser
import Console

struct JobsRetry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Makes jobs due now: failed, set-aside and cancelled ones begin anew, a waiting one stops waiting.",
        discussion: "Without --status, options mean failed jobs.")

    @OptionGroup var change: ChangeOptions

    @MainActor func run() async throws { try await change.run(.retry) }
}
