import ArgumentParser
import Console
import Daemon
import Settings

/// What every command takes. Secrets have no flag: a command line can be seen by every user of the machine.
struct CommonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Configuration file, in place of \(Sources.filePathDefault).", valueName: "file"),
        completion: .file())
    var config: String?

    @Flag(help: "Print JSON: one document, or a line each for streams.")
    var json = false

    var sources: Sources { .ofProcess(file: config) }

    @MainActor var printer: Printer { Printer(isJSON: json) }

    /// - Parameter reason: Why something is changed.
    func session(reason: String? = nil) throws -> Session {
        let sources = sources
        return try Session(
            sources, socketPath: RuntimeDirectory(environment: sources.environment).socketPath, reason: reason)
    }
}
