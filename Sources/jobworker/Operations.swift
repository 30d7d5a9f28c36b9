import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Postgres

struct Operations: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows and steers changes of many jobs, which the workers carry out.",
        discussion: "They are begun by 'jobs replay', 'dlq retry', 'dlq move' and 'dlq discard', and kept for a week.",
        subcommands: [
            OperationsList.self, OperationsShow.self, OperationsPause.self, OperationsResume.self, OperationsAbort.self,
        ],
        defaultSubcommand: OperationsList.self)
}

struct OperationsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists operations, the latest first.",
        usage: "jobworker operations list [<options>]")

    @Option(help: ArgumentHelp("Most to list, 1 to 1000.", valueName: "n"))
    var limit = 50

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        let operations = try await common.session().store.operations(limit: limit)
        common.printer.show(OperationListView(operations))
        if operations.isEmpty { common.printer.hint("There is none.") }
    }
}

struct OperationsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows how far an operation is, and what it skipped.")

    @Argument(help: "Its id.") var id: UUID
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let store = try common.session().store
        guard let operation = try await store.operation(id) else {
            throw Complaint(.notFound, "there is no operation \(id.text)")
        }
        common.printer.show(OperationView(operation, skipped: try await store.skipped(by: id)))
    }
}

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

struct OperationSteering: ParsableArguments {
    @Argument(help: "Its id.") var id: UUID
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
