import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WorkflowRetry: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Runs again what failed or was cancelled of a workflow; what completed stays.")

    @Argument(help: "The workflow's id.")
    var id: UUID

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        let count = try await session.store.retryWorkflow(id, by: session.requester)
        common.printer.show(WorkflowChangeView(count, "waiting again"))
    }
}
