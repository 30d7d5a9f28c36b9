import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct Workflows: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workflow", abstract: "Adds, shows and changes jobs that wait for each other.",
        discussion: """
            Examples:
              jobworker workflow run import.json --workspace $WS
              jobworker workflow show $ID --dot | dot -Tsvg > import.svg
              jobworker workflow retry $ID
            """,
        subcommands: [
            WorkflowRun.self, WorkflowShow.self, WorkflowList.self, WorkflowCancel.self, WorkflowRetry.self,
        ])
}

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
            draft.jobs, named: draft.name, in: draft.workspaceID, by: session.requester)
        common.printer.show(AddedJobView(id))
    }
}

struct WorkflowShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a workflow: what each of its jobs waits for, and how far it is.")

    @Argument(help: "The workflow's id.")
    var id: UUID

    @Flag(help: "Print the graph for Graphviz.")
    var dot = false

    @Flag(help: "Print the graph for Mermaid.")
    var mermaid = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if dot && mermaid || common.json && (dot || mermaid) {
            throw ValidationError("--dot, --mermaid and --json exclude each other.")
        }
    }

    @MainActor func run() async throws {
        let session = try common.session()
        guard let workflow = try await session.store.workflow(withID: id) else { throw WorkflowRefusal.notFound(id) }
        let view = WorkflowView(workflow, try await session.store.steps(ofWorkflow: id))
        if dot || mermaid {
            common.printer.lines(dot ? view.dot : view.mermaid)
        } else {
            common.printer.show(view)
        }
    }
}

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
        common.printer.show(WorkflowListView(try await session.store.workflows(in: workspace, limit: limit)))
    }
}

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
