import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WorkflowCancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Cancels what hasn't ended of a workflow.")

    @Argument(help: "The workflow's id.")
    var id: UUID

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        let count = try await session.store.cancelWorkflow(id, by: session.requester)
        common.printer.show(WorkflowChangeView(count, "cancelled"))
    }
}
