import ArgumentParser
import Console
import Handlers
import Settings

struct HandlersCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Tells what is wrong with the files, each with its line.",
        discussion: """
            Looks also whether programs, users and secrets are there, for the user that runs the command. Exit status: 0 \
            when all is well, 78 otherwise.
            """)

    @Argument(help: ArgumentHelp("Files to check in place of those of the folder.", valueName: "file"))
    var files: [String] = []

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let sources = common.sources
        let folder =
            files.isEmpty
            ? HandlerFolder(path: try Configuration.load(sources)[Catalog.handlers]) : HandlerFolder(files: files)
        let check = HandlerCheckView(folder, credentials: sources.environment["CREDENTIALS_DIRECTORY"])
        common.printer.show(check)
        if !check.isGood { throw ExitCode(ExitStatus.badConfiguration.rawValue) }
    }
}
