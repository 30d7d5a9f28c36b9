import ArgumentParser
import Console
import JobWorker
import Terminal

/// The commands, in groups as the help shows them.
struct CommandRoot: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: WorkerProgram.current.name,
            abstract: "Runs the background jobs of a PostgreSQL database.",
            discussion: """
                Settings come from the environment, systemd credentials and /etc/jobworker/config.yaml; 'jobworker config' \
                shows them. Exit status: 0 done, 1 failed, 2 not found, 64 usage, 69 database unreachable, 77 refused, 78 \
                bad configuration.
                """,
            version: WorkerProgram.current.version,
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
    }

    /// Parses and runs; help and mistakes of usage end the process here.
    /// - Returns: The exit status.
    static func run() async -> Int32 {
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
                Output.error.line(complaint.text(width: Output.error.width))
                return complaint.status.rawValue
            }
        } catch {
            exit(withError: error)
        }
        return ExitStatus.done.rawValue
    }

    /// Whether the parser itself knows what to make of it: help, usage, a status.
    private static func isParsers(_ error: any Error) -> Bool {
        error is ExitCode || error is ValidationError || error is CleanExit
            || String(reflecting: type(of: error)).hasPrefix("ArgumentParser.")
    }
}
