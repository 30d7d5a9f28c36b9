import Foundation
import JobWorker
import JobWorkerTesting
import Testing
import WordJobs

@Suite struct CountWordsTests {
    @Test func `Words are counted, and progress is told`() async throws {
        let run = await ProcessorRun.of(CountWords(), payload: #"{"text": "one two  three"}"#)
        #expect(try run.result(as: [String: Int].self) == ["words": 3])
        #expect(run.progress.map(\.message) == ["Counting"])
    }

    @Test func `A payload without a text fails for good, in words`() async throws {
        let run = await ProcessorRun.of(CountWords())
        #expect(run.failure?.kind == .permanent)
        #expect(run.failure?.message == "Invalid payload: 'text' is missing")
    }

    @Test func `A job that a client adds is run, and its result is in the table`() async throws {
        try await PrivateDatabase.with { database in
            let jobs = JobClient(database: database.url)
            let added = try await jobs.enqueue(
                "count_words", in: database.workspaceID, payload: ["text": "one two"], queue: "texts")
            let done = try await QueueDrain(database: database.url, processors: [CountWords()]).run()
            #expect(done == DrainedJobs(completed: 1))
            let job = try await jobs.job(added.id)
            #expect(job?.status == .completed)
            #expect(job?.result?.text == #"{"words": 2}"#)
            await jobs.close()
        }
    }

    @Test func `A worker in a server of one's own runs jobs until it is stopped`() async throws {
        try await PrivateDatabase.with { database in
            let server = Task { try await serve(database: database.url) }
            let jobs = JobClient(database: database.url)
            let added = try await jobs.enqueue("count_words", in: database.workspaceID, payload: ["text": "a b c"])
            try await expect(.completed, of: added.id, by: jobs)
            server.cancel()
            try? await server.value
            await jobs.close()
        }
    }

    @Test func `The program has the whole command line, and runs the job type of its own`() async throws {
        #expect(try run("--help").contains("USAGE: words <subcommand>"))
        let result = try run("handlers", "run", "count_words", "--payload", #"{"text": "one two"}"#)
        #expect(result.contains(#"{"words":2}"#))
    }

    @Test func `The program is a daemon for it`() async throws {
        try await PrivateDatabase.with { database in
            let folder = FileManager.default.temporaryDirectory.appending(path: "words-\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let daemon = try start(
                ["run"],
                environment: [
                    "DATABASE_URL": database.url, "RUNTIME_DIRECTORY": folder.path,
                    "WORKER_HANDLERS": folder.path, "WORKER_SCHEDULES": folder.path,
                ], output: FileHandle.nullDevice)
            let jobs = JobClient(database: database.url)
            let added = try await jobs.enqueue("count_words", in: database.workspaceID, payload: ["text": "a b"])
            try await expect(.completed, of: added.id, by: jobs)
            daemon.terminate()
            daemon.waitUntilExit()
            #expect(daemon.terminationStatus == 0)
            await jobs.close()
        }
    }

    // MARK: Tools

    private func expect(_ status: JobStatus, of id: UUID, by jobs: JobClient) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while try await jobs.job(id)?.status != status, ContinuousClock.now < end {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await jobs.job(id)?.status == status)
    }

    /// Beside the tests, where it was built with them.
    private var program: URL {
        get throws {
            let places = CommandLine.arguments.map { URL(filePath: $0).deletingLastPathComponent() }
            return try #require(
                places.map { $0.appending(path: "words") }.first {
                    FileManager.default.isExecutableFile(atPath: $0.path)
                })
        }
    }

    private func start(_ arguments: [String], environment: [String: String], output: Any) throws -> Process {
        let process = Process()
        process.executableURL = try program
        process.arguments = arguments
        process.environment = environment.merging(["PATH": "/usr/bin:/bin"]) { own, _ in own }
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    private func run(_ arguments: String...) throws -> String {
        let output = Pipe()
        let process = try start(arguments, environment: [:], output: output)
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }
}
