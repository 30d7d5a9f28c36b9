import ArgumentParser
import Console
import Doctor
import Enrichment

struct KeysRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Encrypts the stored Apollo keys with the first key of WORKER_ENCRYPTION_KEYS.",
        discussion:
            "May run beside workers, and be stopped and repeated at any time. Status 1 where a key can't be read.")

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session()
        let vault = try session.configuration.keyVault()
        let report = try await KeyRotation(pool: session.pool, vault: vault).run()
        let view = RotationView(report)
        common.printer.show(view)
        if !view.isComplete { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
