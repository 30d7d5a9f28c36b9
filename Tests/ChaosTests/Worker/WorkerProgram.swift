import ArgumentParser
import Daemon
import FoundationEssentials
import Logging
import Logs
import Settings

/// `chaos worker`: the daemon as it is, with processors that keep the ledger. Started by the harness alone.
struct WorkerProgram: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "worker", shouldDisplay: false)

    func run() async throws {
        let sources = Sources.ofProcess()
        let configuration = try Configuration.load(sources)
        let level = bootstrap(
            format: LogFormat(rawValue: configuration[Catalog.logFormat].rawValue) ?? .json,
            level: Logger.Level(rawValue: configuration[Catalog.logLevel].rawValue) ?? .info)
        guard let path = sources.environment["CHAOS_LEDGER"] else { throw ChaosError("CHAOS_LEDGER is not set") }
        let ledger = try Ledger(path: path, worker: configuration[Catalog.workerID] ?? "")
        let processor = LedgerProcessor(jobTypes: JobMix.types, ledger: ledger)
        try await Daemon(
            sources: sources, configuration: configuration, version: "chaos", logLevel: level, processors: [processor]
        ).run()
    }
}
