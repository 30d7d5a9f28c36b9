import ArgumentParser
import Development
import Glibc
import JobWorker
import UnixSignals

/// `jobworker dev`: the whole system on this machine, for trying it.
struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev", abstract: "Runs the whole system on this machine, for trying it.",
        discussion: """
            A private PostgreSQL, a stand-in for Apollo.io, a sample workspace and a worker; the database's programs must \
            be installed (apt install postgresql). Ctrl-C ends it all and removes it, unless --keep names a folder.
            """)

    @Flag(help: "Adds sample jobs, shows how they run, and ends: with status 0 if all ended as they should.")
    var demo = false

    @Flag(help: "After the sample jobs of --demo goes on until Ctrl-C, so that they can be looked at.")
    var stay = false

    @Option(help: ArgumentHelp("Keeps the data in this folder, for the next start.", valueName: "dir"))
    var keep: String?

    @Option(help: ArgumentHelp("Also listens here for HTTP, as 127.0.0.1:8080.", valueName: "host:port"))
    var listen: String?

    @Option(help: "Most jobs at once.")
    var maxConcurrent = 5

    func validate() throws {
        guard demo || !stay else { throw ValidationError("--stay goes with --demo") }
        guard (1...1000).contains(maxConcurrent) else { throw ValidationError("--max-concurrent must be 1 to 1000") }
    }

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        var options = DevSystem.Options()
        options.directory = keep
        options.httpListen = listen
        options.maxConcurrent = maxConcurrent
        let output = DevOutput()
        let frozen = options
        // Whichever comes first ends the other: the work, or a signal.
        let isSuccess = try await withThrowingTaskGroup(of: Bool.self) { race in
            race.addTask { try await work(frozen, output) }
            race.addTask {
                for await _ in signals { return !demo || stay }
                return false
            }
            defer { race.cancelAll() }
            return try await race.next() ?? false
        }
        if !isSuccess { throw ExitCode(1) }
    }

    private func work(_ options: DevSystem.Options, _ output: DevOutput) async throws -> Bool {
        let system = try await output.step("Starting a private PostgreSQL, its schema and a sample workspace") {
            try await DevSystem.start(options, workerLines: { line in if !demo { output.line("worker  \(line)") } })
        }
        do {
            let apollo = try await output.step("Starting the stand-in for Apollo.io") {
                try await system.startStandin()
            }
            try await output.step("Starting the worker") { try await system.startWorker(program: ownProgram()) }
            let isSuccess = demo ? try await Demo(system: system, output: output).run() : true
            if !demo || stay {
                output.tour(system, apollo: apollo)
                await waitForEnd(system)
            }
            await output.step("Stopping") { await system.stop() }
            return isSuccess
        } catch {
            await system.stop()
            if error is CancellationError { return false }
            throw error
        }
    }

    /// Until Ctrl-C, or until the worker ends by itself.
    private func waitForEnd(_ system: DevSystem) async {
        await withTaskGroup(of: Void.self) { race in
            race.addTask { await system.workerEnded() }
            race.addTask { try? await Task.sleep(for: .seconds(1_000_000_000)) }
            await race.next()
            race.cancelAll()
            // The worker's end can't be cancelled; stopping it lets the other child return.
            await system.stop()
        }
    }
}

/// The path of this very program.
func ownProgram() -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard count > 0 else { return CommandLine.arguments[0] }
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
