import ArgumentParser
import Console
import Enrichment
import FoundationEssentials

struct KeysSetApollo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set-apollo",
        abstract: "Stores a workspace's Apollo key, encrypted.",
        discussion: "The key is read from standard input, or from a file.")

    @Option(help: ArgumentHelp("The workspace.", valueName: "uuid"))
    var workspace: UUID

    @Option(help: ArgumentHelp("Read the key from this file.", valueName: "file"))
    var file: String?

    @OptionGroup var why: ReasonOptions

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        let entry = try ApolloKeyEntry(session)
        let text = try TextArgument.secret(file: file, question: "Apollo key (not shown): ")
        try await entry.set(text, workspace: workspace)
        let status = try await session.apolloKeys().status(workspace: workspace)
        common.printer.show(ApolloKeyView(workspace: workspace, status: status, test: nil))
    }
}
