import ArgumentParser
import Console
import FoundationEssentials

struct Stats: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows figures about jobs and queues.", usage: "jobworker stats [<options>]")

    @OptionGroup var watching: WatchOptions

    @Option(
        help: ArgumentHelp("Only the jobs of this workspace.", valueName: "uuid"), completion: Completions.workspaces)
    var workspace: UUID?

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let source = try common.session().source
        let workspace = workspace
        try await watching.show(common.printer) { try await source.statistics(workspaceID: workspace) }
    }
}
