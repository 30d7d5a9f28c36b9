package import Glibc

/// How a program is started, and what of its words is kept.
package struct Launch: Sendable {
    /// What is done with the lines of its standard output.
    package enum Output: Sendable {
        /// Only the last one that isn't empty is kept, for its end.
        case lastLine
        /// Each is handed on.
        case everyLine
    }

    /// A user of this machine.
    package struct User: Sendable, Hashable {
        package let id: uid_t
        package let group: gid_t
        package let groups: [gid_t]
        package let home: String
    }

    /// Most that its processes may use; `nil` leaves it as the worker has it.
    package struct Limits: Sendable, Hashable {
        /// Of address space, each process for itself.
        package var memoryBytes: UInt64?
        /// Of processor time, each process for itself.
        package var cpuSeconds: UInt64?
        package var openFiles: UInt64?

        package init() {}
    }

    /// The program's path, then its arguments.
    package var command: [String]
    /// All of it; nothing is inherited. `JOB_RUN` is added.
    package var environment: [String: String]
    package var directory: String
    package var user: User?
    package var limits = Limits()
    package var output = Output.lastLine
    /// Written to its standard input first.
    package var input: [UInt8] = []
    /// Whether its standard input ends after `input`.
    package var endsInput = true
    /// Most lines of standard error that are handed on; the rest is counted.
    package var errorLinesMax = 900

    package init(command: [String], environment: [String: String], directory: String) {
        self.command = command
        self.environment = environment
        self.directory = directory
    }
}

/// Why a program was not started.
package struct LaunchFailure: Error, Sendable, Hashable {
    package let sentence: String
    /// The machine lacks something at the moment: it is not the program's fault.
    package let isShortage: Bool
}
