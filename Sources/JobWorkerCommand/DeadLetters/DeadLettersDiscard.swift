import ArgumentParser
import Console
import JobWorker
import Postgres

struct DeadLettersDiscard: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard", abstract: "Deletes failed jobs and those set aside.",
        discussion: "Rows of dead_letter_queue stay, as ignored, with the reason as their note.")

    @OptionGroup var which: OperationOptions

    @MainActor func run() async throws {
        try await which.carryOut(.discard, "discard", done: "discarded", DeadLetters.statuses) {
            try await $0.store.delete($1, by: $0.requester)
        }
    }
}
