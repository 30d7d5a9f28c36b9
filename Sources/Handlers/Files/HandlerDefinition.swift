/// A job type that a program or an endpoint serves, as a file of the folder `WORKER_HANDLERS` says.
package struct HandlerDefinition: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case exec(ExecSettings)
        case http(HTTPSettings)
    }

    /// Whose jobs are run.
    package enum Audience: String, Sendable, Hashable, CaseIterable {
        /// Everybody's who may add jobs.
        case members
        /// Not those that a member of a workspace added.
        case operators
    }

    package let jobType: String
    package let kind: Kind
    /// Longest time of an attempt, unless the job says otherwise; `nil` for the worker's limit.
    package let timeout: Duration?
    /// Most attempts at once in one worker process.
    package let maxConcurrent: Int?
    package let audience: Audience
    /// The file, and the line on which it begins there.
    package let path: String
    package let line: Int

    package var file: String { "\(path):\(line)" }
}

/// How the program of a job type is run.
package struct ExecSettings: Sendable, Hashable {
    /// Path or name, and arguments.
    package var command: [String]
    package var environment: [String: String] = [:]
    package var directory: String
    /// The name of a user of this machine; `nil` for the worker's own.
    package var user: String?
    package var limits = Launch.Limits()
    /// How many copies of it are kept and given one job after another; `nil` starts it for each job.
    package var poolSize: Int?
    /// How long a copy waits for a job before it is ended.
    package var idleTimeout = Duration.seconds(60)

    package init(command: [String], directory: String) {
        self.command = command
        self.directory = directory
    }
}

/// How the endpoint of a job type is asked.
package struct HTTPSettings: Sendable, Hashable {
    package var url: String
    /// Where the secret stands with which requests are signed: a path, or the name of a systemd credential.
    package var secretFile: String
    package var userAgent: String?
}

extension HandlerDefinition {
    /// A program, without a file.
    package init(jobType: String, exec settings: ExecSettings) {
        self.init(
            jobType: jobType, kind: .exec(settings), timeout: nil, maxConcurrent: nil, audience: .operators, path: "",
            line: 1)
    }
}
