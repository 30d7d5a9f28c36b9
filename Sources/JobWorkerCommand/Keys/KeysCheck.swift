import ArgumentParser
import Console
import Doctor
import Enrichment
import FoundationEssentials

struct KeysCheck: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Looks whether the stored Apollo keys can be decrypted, and one whether Apollo accepts it.",
        discussion: "Asking Apollo is free of charge. Status 1 where a key can't be used.")

    @Option(help: ArgumentHelp("Only this workspace's key, and ask Apollo about it.", valueName: "uuid"))
    var workspace: UUID?

    @Flag(help: "Don't ask Apollo.")
    var offline = false

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session()
        let isUsable: Bool
        if let workspace {
            let keys = try session.apolloKeys()
            let status = try await keys.status(workspace: workspace)
            let isTested = status.isConfigured && status.problem == nil && !offline
            let test = isTested ? try await keys.test(workspace: workspace) : nil
            let view = ApolloKeyView(workspace: workspace, status: status, test: test)
            common.printer.show(view)
            isUsable = view.isUsable
        } else {
            let vault = try session.configuration.keyVault()
            let survey = try await KeyRotation(pool: session.pool, vault: vault).survey()
            let view = KeySurveyView(survey, current: vault.currentKeyID)
            common.printer.show(view)
            isUsable = view.isUsable
        }
        if !isUsable { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
