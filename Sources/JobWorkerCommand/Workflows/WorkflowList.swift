import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct WorkflowList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists workflows, newest first.")

    @Option(help: ArgumentHelp("Of this workspace.", valueName: "uuid"), completion: Completions.workspaces)
    var workspace: UUID?

    @Option(help: ArgumentHelp("Most lines; 20 by default.", valueName: "n"))
    var limit = 20

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (1...1000).contains(limit) else { throw ValidationError("--limit goes from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        let session = try common.session()
        let workflows = try await session.store.workflows(in: workspace, limit: limit)
        common.printer.show(WorkflowListView(workflows))
        if workflows.isEmpty { common.printer.hint("There are no workflows. 'jobworker workflow run' adds one.") }
    }
}
