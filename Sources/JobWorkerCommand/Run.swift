import ArgumentParser
import Console
import Daemon
import JobWorker
import Logging
import Logs
import Migrations
import Postgres
import Settings

/// `jobworker run`: the daemon, which the unit starts.
struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs jobs until it is told to stop: the daemon.",
        discussion: """
            SIGTERM and SIGINT stop it once the running jobs have ended, or at once when they come a second time; \
            what is left is given back. SIGHUP reads the settings again.
            """)

    @Option(help: ArgumentHelp("The configuration file.", valueName: "path"))
    var config: String?

    @Flag(help: "Brings the database's schema up to date first.")
    var migrate = false

    func run() async throws {
        let sources = Sources.ofProcess(file: config)
        let configuration = try Configuration.load(sources)
        let limiter = LogLimiter.ofDaemon()
        let level = bootstrap(
            format: LogFormat(rawValue: configuration[Catalog.logFormat].rawValue) ?? .auto,
            level: Logger.Level(rawValue: configuration[Catalog.logLevel].rawValue) ?? .info, limiter: limiter)
        let daemon = Daemon(
            sources: sources, configuration: configuration, version: WorkerProgram.current.version, logLevel: level,
            logLimiter: limiter, processors: try WorkerProgram.current.processors())
        do {
            try await daemon.run(migratingFirst: migrate)
        } catch let failure as Daemon.Failure {
            switch failure {
            case .configuration: throw Complaint(.badConfiguration, failure.description)
            case .unavailable: throw Complaint(.failed, failure.description)
            }
        }
    }
}
