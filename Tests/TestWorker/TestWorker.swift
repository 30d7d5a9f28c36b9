import Console
import Daemon
import Glibc
import JobWorker
import Logging
import Logs
import Postgres
import Settings
import Systemd
import Terminal

/// `jobworker run` with job types that only tests have use for: `trap`, `ledger` and `echo`.
///
/// Settings come from the environment alone, as for the real program; besides them `LEDGER_URL` says where the
/// ledger is (`TestDatabase.makeLedger()` makes its table). Exit statuses are those of `jobworker run`. With the
/// argument `listen-sockets` it tells what descriptors it was handed over, and nothing else.
@main enum TestWorker {
    static func main() async {
        signal(SIGPIPE, SIG_IGN)
        var status = ExitStatus.done
        do {
            if CommandLine.arguments.dropFirst() == ["listen-sockets"] {
                try tellListenSockets()
            } else {
                try await run()
            }
        } catch {
            let complaint =
                switch error {
                case Daemon.Failure.configuration(let reason): Complaint(.badConfiguration, reason)
                case Daemon.Failure.unavailable(let reason): Complaint(.failed, reason)
                default: Complaint(error)
                }
            Output.error.line(complaint.description)
            status = complaint.status
        }
        exit(status.rawValue)
    }

    private static func tellListenSockets() throws {
        for socket in try ListenSockets.take() {
            let isInherited = fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC == 0
            Output.standard.line(
                "\(socket.descriptor) \(socket.name)\(ListenSockets.isListening(socket.descriptor) ? " listens" : "")"
                    + (isInherited ? " inherited" : ""))
        }
        Output.standard.line("then \(try ListenSockets.take().count), \(getenv("LISTEN_FDS") == nil ? "unset" : "set")")
    }

    private static func run() async throws {
        let sources = Sources.ofProcess()
        let configuration = try Configuration.load(sources)
        let limiter = LogLimiter.ofDaemon()
        let level = bootstrap(
            format: LogFormat(rawValue: configuration[Catalog.logFormat].rawValue) ?? .auto,
            level: Logger.Level(rawValue: configuration[Catalog.logLevel].rawValue) ?? .info, limiter: limiter)
        var processors: [any JobProcessor] = [EchoProcessor(), TrapProcessor()]
        if let url = sources.environment["LEDGER_URL"] {
            processors.append(
                LedgerProcessor(
                    pool: ConnectionPool(
                        ConnectionSettings(connectionString: url, applicationName: "ledger"), limit: 4)))
        }
        try await Daemon(
            sources: sources, configuration: configuration, version: Program.version, logLevel: level,
            logLimiter: limiter, processors: processors
        ).run()
    }
}
