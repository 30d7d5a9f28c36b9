import ArgumentParser
import Console
import Glibc
public import JobWorker
import Terminal

/// The whole command line of `jobworker`, as a program of one's own with job types of its own.
///
///     @main enum Words {
///         static func main() async { await WorkerProgram(name: "words") { [CountWords()] }.main() }
///     }
///
/// `words run` is the daemon; all other commands, settings and units are those of `jobworker`.
public struct WorkerProgram: Sendable {
    let name: String
    let version: String
    let processors: @Sendable () throws -> [any JobProcessor]

    /// The one whose command line is parsed now.
    @TaskLocal static var current = WorkerProgram()

    /// - Parameters:
    ///   - name: What people type to start it.
    ///   - version: Its own; `nil` for that of `jobworker`.
    ///   - processors: Called once, by the commands that run jobs: `run` and `handlers run`.
    ///     They may start processes, which are theirs to end: with any processor here, what a handler's program leaves
    ///     behind without its environment is killed only under systemd with `Delegate=yes`.
    public init(
        name: String = "jobworker", version: String? = nil,
        processors: @escaping @Sendable () throws -> [any JobProcessor] = { [] }
    ) {
        self.name = name
        self.version = version ?? Program.version
        self.processors = processors
    }

    /// Parses the process's arguments, runs the command, and ends the process with its exit status.
    public func main() async -> Never {
        // A reader that goes away, as `head` does, ends a command and doesn't kill it.
        signal(SIGPIPE, SIG_IGN)
        holdStandardDescriptors()
        var status = await WorkerProgram.$current.withValue(self) { await CommandRoot.run() }
        if let problem = Output.standard.problem {
            Output.error.line("\(name): standard output: \(problem)")
            status = max(status, ExitStatus.failed.rawValue)
        }
        exit(status)
    }

    /// Where standard input, output or error is closed, its number would go to the next descriptor that is opened, and a
    /// table of jobs into the database's connection. Writing to what stands in for it fails, as it would to a closed one.
    private func holdStandardDescriptors() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", O_RDONLY)
        }
    }
}
