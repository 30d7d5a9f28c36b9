import Development
import FoundationEssentials
import Postgres
import Support
import Testing

@Suite struct ReadmeTests {
    static func readme() throws -> ReadmeBlocks {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let data = try Data(contentsOf: root.appending(path: "README.md"))
        return try ReadmeBlocks(String(decoding: data, as: UTF8.self))
    }

    @Test func `README marks its tour as tested`() throws {
        let blocks = try Self.readme().blocks
        #expect(blocks.count >= 4)
        for block in blocks { #expect(block.commands.contains("jobworker "), "README.md:\(block.line)") }
    }

    @Test func `a marked block is found with its line, an unmarked one isn't`() throws {
        let text = """
            # Title
            ```sh
            not this
            ```
            <!-- tested -->
            ```sh
            one
            two
            ```
            """
        #expect(try ReadmeBlocks(text).blocks == [.init(line: 7, commands: "one\ntwo")])
    }

    @Test(arguments: [
        ("<!-- tested -->", 1), ("<!-- tested -->\n", 2), ("<!-- tested -->\n```swift\nlet a\n```", 2),
        ("a\n<!-- tested -->\n\n```sh\nx\n```", 3), ("<!-- tested -->\n```sh\nx", 3),
    ])
    func `a mark without a whole block of sh behind it is told with its line`(text: String, line: Int) {
        let problem = #expect(throws: ReadmeBlocks.Problem.self) { try ReadmeBlocks(text) }
        #expect(problem?.line == line)
    }
}

/// The tour as README tells it, in the surroundings that `jobworker dev` makes: a database, a workspace, a worker
/// that serves the job types for trying things out.
@Suite(.database(), .timeLimit(.minutes(3))) struct ReadmeTourTests {
    let database = TestDatabase.current

    @Test func `every command of the tour works`() async throws {
        let folder = "/tmp/jobworker-readme-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let programs = BuiltProgram.path("").dropLast()
        let surroundings = [
            "PATH=\(programs):\(database.server.binaries.path(of: "")):/usr/local/bin:/usr/bin:/bin",
            "WORKER_SOCKET=\(folder)/worker.sock", "RUNTIME_DIRECTORY=\(folder)",
            "WORKSPACE=\(TestDatabase.workspace.uuidString.lowercased())",
        ]
        let worker = TiedProcess(
            ["env"] + surroundings + [
                "DATABASE_URL=\(database.workerSettings.connectionString)", "WORKER_DIAGNOSTIC_JOBS=true", "jobworker",
                "run",
            ], log: "\(folder)/worker.log")
        let shell = ["env"] + surroundings + ["DATABASE_URL=\(database.settings.connectionString)"]

        let start = "until jobworker health; do sleep 0.1; done"
        let problem = await run(start, with: ["timeout", "30"] + shell)
        try #require(problem == nil, "the worker doesn't become healthy")
        for block in try ReadmeTests.readme().blocks {
            let failure = await run(block.commands, with: shell)
            #expect(failure == nil, "README.md:\(block.line)")
        }
        worker.send(.terminate)
        #expect(await worker.ended() == 0)
    }

    /// - Returns: `nil` on success; else the exit status and what was printed.
    private func run(_ commands: String, with shell: [String]) async -> String? {
        let process = TiedProcess(shell + ["bash", "-euo", "pipefail", "-c", "exec 2>&1\n" + commands])
        var output: [String] = []
        for await line in process.lines { output.append(line) }
        let status = await process.ended()
        return status == 0
            ? nil : "status \(status.map(String.init) ?? "unknown")\n" + output.suffix(30).joined(separator: "\n")
    }
}
