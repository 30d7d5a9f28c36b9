import ArgumentParser
import Console
import Doctor
import Enrichment

struct KeysRotate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract:
            "Encrypts the stored Apollo keys and the secrets of webhooks with the first key of WORKER_ENCRYPTION_KEYS.",
        discussion: """
            May run beside workers, which read every key meanwhile, and be stopped and repeated at any time: what is done \
            stays done. Status 1 where a key can't be read.
            """)

    @OptionGroup var why: ReasonOptions

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        let vault = try session.configuration.keyVault()
        let rotation = KeyRotation(pool: session.pool, vault: vault, requester: session.requester)
        let progress = RotationProgress()
        let printer = common.printer
        try await untilInterrupted {
            progress.result = try await rotation.run(progress: progress.show)
        }
        guard let report = progress.result else { throw progress.interruption }
        let view = RotationView(report)
        printer.show(view)
        if !view.isComplete { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
