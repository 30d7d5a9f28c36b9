import ArgumentParser
import Console
import JobWorker
import Postgres

struct DeadLettersRetry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Tries failed jobs and those set aside again.",
        discussion: "A job whose unique key another one holds by now is skipped, and named.")

    @OptionGroup var which: OperationOptions
    @OptionGroup var care: CareOptions

    @MainActor func run() async throws {
        try await which.carryOut(.retry, "retry", done: "retried", DeadLetters.statuses, care.plan) {
            try await $0.store.retry($1, by: $0.requester)
        }
    }
}
