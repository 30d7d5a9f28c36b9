import ArgumentParser
import Console

struct JobsCancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancels jobs that wait or run.",
        discussion:
            "A running job is told within a second. Without --status, options mean pending, blocked and running jobs.")

    @OptionGroup var change: ChangeOptions

    @MainActor func run() async throws { try await change.run(.cancel) }
}
