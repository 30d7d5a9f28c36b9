import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Postgres

struct OperationsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows how far an operation is, and what it skipped.")

    @Argument(help: "Its id, as 'operations list' shows it.") var id: UUID
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let store = try common.session().store
        guard let operation = try await store.operation(id) else {
            throw Complaint(.notFound, "there is no operation \(id.text)")
        }
        common.printer.show(OperationView(operation, skipped: try await store.skipped(by: id)))
    }
}
