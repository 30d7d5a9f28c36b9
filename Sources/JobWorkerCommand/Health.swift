import ArgumentParser
import ControlPlane
import Daemon
import FoundationEssentials
import Glibc
import HTTPClient
import Settings

/// `jobworker health`: asks a worker on this machine how it is.
struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Asks a worker on this machine how it is.",
        usage: "jobworker health [<options>]",
        discussion: """
            Exit status 0: healthy or degraded; 1: unhealthy, or with --strict degraded; 69: nobody answers. With --all the \
            worst of them.
            """)

    @Option(help: ArgumentHelp("The worker's socket.", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("The instance's name, where systemd runs several (jobworker@NAME).", valueName: "name"))
    var instance: String?

    @Flag(help: "Asks every worker of this machine that has a socket in the runtime directory.")
    var all = false

    @Flag(help: "Degraded is not good enough.")
    var strict = false

    @Flag(help: "Prints the health document.")
    var json = false

    @Option(help: ArgumentHelp("The configuration file.", valueName: "path"))
    var config: String?

    func validate() throws {
        guard [socket != nil, instance != nil, all].filter({ $0 }).count <= 1 else {
            throw ValidationError("--socket, --instance and --all exclude each other")
        }
    }

    func run() async throws {
        let client = Client()
        let probe = HealthProbe(client: client)
        var worst: Int32 = 0
        let paths = try socketPaths()
        for path in paths {
            let outcome = try await probe.check(socketPath: path)
            show(outcome, path: path, isOneOfMany: paths.count > 1)
            worst = max(worst, outcome.exitStatus(isStrict: strict))
        }
        await client.shutdown()
        if worst != 0 { throw ExitCode(worst) }
    }

    private func socketPaths() throws -> [String] {
        if let socket { return [socket] }
        let sources = Sources.ofProcess(file: config)
        let directory = RuntimeDirectory(environment: sources.environment)
        if let instance { return [directory.socketPath(instance: instance)] }
        if all {
            let paths = directory.allSocketPaths()
            guard paths.isEmpty else { return paths }
            return [directory.socketPath]
        }
        // The rest of the settings is not needed here, and a mistake in it must not hide how the worker is.
        if let configured = (try? Configuration.load(sources))?[Catalog.socket] { return [configured] }
        return [sources.environment[Catalog.socket.name] ?? directory.socketPath]
    }

    private func show(_ outcome: HealthProbe.Outcome, path: String, isOneOfMany: Bool) {
        switch outcome {
        case .answered(let report, let text):
            if json { return print(text) }
            var line = "\(report.status.rawValue): \(report.running) of \(report.maxConcurrent) running"
            if let worker = report.workerID { line += ", worker \(worker)" }
            print(isOneOfMany ? "\(path): \(line)" : line)
            for reason in report.reasons { print("  \(reason)") }
        case .notUnderstood(let status):
            complain("\(path) answers with status \(status), but not with a health document: is it jobworker's socket?")
        case .unreachable(let reason):
            complain("no worker answers at \(path): \(reason)")
        }
    }

    private func complain(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
