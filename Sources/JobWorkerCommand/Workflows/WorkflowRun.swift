import ArgumentParser
import Console
import FoundationEssentials
import JobWorker
import Postgres

struct WorkflowRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Adds the jobs of a file, all or none, and prints the workflow's id.",
        discussion: """
            The file holds {"workspace_id": …, "name": …, "jobs": [{"name": "a", "job_type": …, "payload": …, \
            "after": ["b"], "on_dependency_failure": "cancel"}]}. A payload may ask for the result of a job in after: \
            {"$result": "b.path"}.
            """)

    @Argument(help: "A file of JSON, or - for standard input.", completion: .file())
    var file: String

    @Option(
        help: ArgumentHelp("The workspace, where the file names none.", valueName: "uuid"),
        completion: Completions.workspaces)
    var workspace: UUID?

    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let draft = try WorkflowFile(
            text: TextArgument.read(file == "-" ? "-" : "@" + file, limit: WorkflowFile.bytesMax), workspace: workspace)
        let session = try common.session(reason: why.reason)
        let id = try await session.store.addWorkflow(
            "\(draft.jobs)", named: draft.name, in: draft.workspaceID, by: session.requester)
        common.printer.show(AddedJobView(id))
    }
}
