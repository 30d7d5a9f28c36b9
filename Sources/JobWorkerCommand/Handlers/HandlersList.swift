import ArgumentParser
import Console
import Handlers
import Settings

struct HandlersList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the job types of the files: who serves each, and whose jobs it takes.")

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let path = try Configuration.load(common.sources)[Catalog.handlers]
        let folder = HandlerFolder(path: path)
        let printer = common.printer
        printer.show(HandlerListView(folder))
        for problem in folder.problems { printer.remark("jobworker: \(problem)") }
        if folder.handlers.isEmpty { printer.hint("There are no handlers in \(path).") }
    }
}
