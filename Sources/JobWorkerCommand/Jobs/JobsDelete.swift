import ArgumentParser
import Console

struct JobsDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Deletes finished jobs with their logs.",
        discussion: "Without --status, options mean completed, failed, set-aside and cancelled jobs.")

    @OptionGroup var change: ChangeOptions

    @MainActor func run() async throws { try await change.run(.delete) }
}
