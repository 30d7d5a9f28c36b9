import ArgumentParser
import Console
import Glibc
import JobWorker
import Terminal

@main
struct Main: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobworker",
        abstract: "Runs the background jobs of a PostgreSQL database.",
        discussion: """
            Settings come from the environment, systemd credentials and /etc/jobworker/config.yaml; 'jobworker config' \
            shows them. Exit status: 0 done, 1 failed, 2 not found, 64 usage, 69 database unreachable, 77 refused, 78 \
            bad configuration.
            """,
        version: Program.version,
        groupedSubcommands: [
            CommandGroup(name: "The worker", subcommands: [Run.self, Health.self, HandlersCommand.self, Dev.self]),
            CommandGroup(
                name: "Jobs",
                subcommands: [
                    Enqueue.self, Jobs.self, DeadLetters.self, Operations.self, Why.self, Schedules.self,
                    Workflows.self, Webhooks.self, Stats.self, Queues.self, Limits.self, Workers.self, Alerts.self,
                    Audit.self,
                ]),
            CommandGroup(
                name: "Set-up",
                subcommands: [
                    Migrate.self, Config.self, Doctor.self, Keys.self, Benchmarks.self, Reference.self,
                ]),
        ])

    /// Parses, runs, and ends the process with a status of `ExitStatus`.
    static func main() async {
        // A reader that goes away, as `head` does, ends a command and doesn't kill it.
        signal(SIGPIPE, SIG_IGN)
        var status = ExitStatus.done.rawValue
        do {
            let command = try await asyncParseAsRoot()
            do {
                if var command = command as? any AsyncParsableCommand {
                    try await command.run()
                } else {
                    var command = command
                    try command.run()
                }
            } catch let error where !isParsers(error) {
                let complaint = Complaint(error)
                Output.error.line(complaint.description)
                status = complaint.status.rawValue
            }
        } catch {
            exit(withError: error)
        }
        if let problem = Output.standard.problem {
            Output.error.line("jobworker: standard output: \(problem)")
            status = max(status, ExitStatus.failed.rawValue)
        }
        Glibc.exit(status)
    }

    /// Whether the parser itself knows what to make of it: help, usage, a status.
    private static func isParsers(_ error: any Error) -> Bool {
        error is ExitCode || error is ValidationError || error is CleanExit
            || String(reflecting: type(of: error)).hasPrefix("ArgumentParser.")
    }
}
