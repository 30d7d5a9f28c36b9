import ArgumentParser
import Console
import JobWorker
import Postgres

struct DeadLettersMove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move", abstract: "Sets failed jobs aside, with a row in dead_letter_queue.")

    @OptionGroup var which: OperationOptions

    @MainActor func run() async throws {
        try await which.carryOut(.deadLetter, "set aside", done: "set aside", [.failed]) {
            try await $0.store.setAside($1, by: $0.requester)
        }
    }
}
