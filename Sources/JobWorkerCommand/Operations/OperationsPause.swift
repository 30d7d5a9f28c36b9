import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Postgres

struct OperationsPause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Takes no further job, until it is resumed.")

    @OptionGroup var steering: OperationSteering

    @MainActor func run() async throws { try await steering.run("pause") }
}

struct OperationsResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Goes on with an operation that was paused, or stopped by its own rule.",
        discussion: "After a stop failures are counted anew, and the canary is over.")

    @OptionGroup var steering: OperationSteering

    @MainActor func run() async throws { try await steering.run("resume") }
}

struct OperationsAbort: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "abort", abstract: "Ends an operation; what it has changed stays changed.")

    @OptionGroup var steering: OperationSteering

    @MainActor func run() async throws { try await steering.run("abort") }
}

/// An operation, and what is wished of it.
struct OperationSteering: ParsableArguments {
    @Argument(help: "Its id, as 'operations list' shows it.") var id: UUID
    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run(_ wish: String) async throws {
        let session = try common.session(reason: why.reason)
        guard let operation = try await session.store.control(id, wish, by: session.requester) else {
            throw Complaint(.notFound, "there is no operation \(id.text)")
        }
        common.printer.show(OperationView(operation))
    }
}
