import Development
import FoundationEssentials
import JobWorker
import Subprocess
import Support
import SystemPackage

/// The built program, run once to its end against a test's database.
struct CommandRun {
    let status: Int32
    let output: String
    let error: String

    var lines: [Substring] { output.split(separator: "\n") }

    /// What it printed, as JSON.
    func json() throws -> JSONValue { try JSONText(output).decode() }

    /// A line for bash, with the same environment.
    static func shell(_ line: String, database: TestDatabase) async throws -> CommandRun {
        try await run(
            "/bin/bash", ["-c", line], environment: environment(database, TestDatabase.workerRole), input: "")
    }

    /// - Parameters:
    ///   - database: `nil` where none is needed.
    ///   - role: The login.
    static func of(
        _ arguments: String..., database: TestDatabase? = nil, role: String = TestDatabase.workerRole,
        environment: [String: String] = [:], input: String = ""
    ) async throws -> CommandRun {
        try await of(arguments: arguments, database: database, role: role, environment: environment, input: input)
    }

    static func of(
        arguments: [String], database: TestDatabase? = nil, role: String = TestDatabase.workerRole,
        environment: [String: String] = [:], input: String = ""
    ) async throws -> CommandRun {
        try await run(
            BuiltProgram.path("jobworker"), arguments,
            environment: self.environment(database, role).merging(environment) { _, given in given }, input: input)
    }

    /// Runs it in a terminal of its own, as wide as told. What it writes to standard error stands in `output`, too.
    static func terminal(
        _ arguments: [String], database: TestDatabase? = nil, columns: Int = 80, rows: Int = 40,
        environment: [String: String] = [:], input: String = ""
    ) async throws -> CommandRun {
        let words = ([BuiltProgram.path("jobworker")] + arguments)
            .map { "'" + $0.replacing("'", with: "'\\''") + "'" }.joined(separator: " ")
        let line = "stty cols \(columns) rows \(rows) -echo; exec \(words)"
        let variables = self.environment(database, TestDatabase.workerRole)
            .merging(["TERM": "xterm", "SHELL": "/bin/sh"]) { $1 }.merging(environment) { $1 }
        let run = try await run("script", ["-qec", line, "/dev/null"], environment: variables, input: input)
        return CommandRun(
            status: run.status, output: run.output.replacing("\r\n", with: "\n"), error: run.error)
    }

    private static func environment(_ database: TestDatabase?, _ role: String) -> [String: String] {
        // Nothing of this machine's: no NO_COLOR, no PGHOST.
        var variables = ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
        if let database {
            variables["DATABASE_URL"] = database.server.connectionString(database: database.name, role: role)
            variables["MIGRATE_DATABASE_URL"] = database.server.connectionString(database: database.name)
        }
        return variables
    }

    private static func run(
        _ program: String, _ arguments: [String], environment: [String: String], input: String
    ) async throws -> CommandRun {
        let custom = Dictionary(environment.map { (Environment.Key(stringLiteral: $0.key), $0.value) }) { first, _ in
            first
        }
        // A suite's time limit cancels the test, which ends no program: one that hangs is killed, and its status is 124.
        let bounded = ["timeout", "--foreground", "--kill-after=5", "240", program] + arguments
        // From a file: a program that ends before it has read what is written to its pipe would end the tests as well.
        let result = try await Subprocess.run(
            .name("env"), arguments: Arguments(bounded), environment: .custom(custom),
            input: .fileDescriptor(try descriptor(of: input), closeAfterSpawningProcess: true),
            output: .string(limit: 4 << 20), error: .string(limit: 1 << 20))
        let status: Int32
        switch result.terminationStatus {
        case .exited(let code): status = code
        case .signaled(let signal): status = 128 + signal
        }
        return CommandRun(status: status, output: result.standardOutput, error: result.standardError)
    }
}

extension CommandRun {
    /// A file without a name that holds the text.
    private static func descriptor(of text: String) throws -> FileDescriptor {
        let path = "/tmp/jobworker-input-\(UUID().uuidString)"
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try FileDescriptor.open(path, .readOnly)
    }
}

/// A folder for a test's files, gone afterwards.
final class Folder: Sendable {
    let path = "/tmp/jobworker-commands-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String) throws -> String {
        let file = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(filePath: file))
        return file
    }
}
