import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

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
