import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct JobsLogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Prints the log of a job, oldest row first.",
        usage: "jobworker jobs logs <id> [<options>]")

    @Argument(help: "The job's id.", completion: Completions.jobs)
    var id: UUID

    @Flag(name: .shortAndLong, help: "Go on with new rows until the job has ended.")
    var follow = false

    @Option(
        name: .customLong("tail"),
        help: ArgumentHelp("Begin with so many of the newest rows, 0 to 10000.", valueName: "n"))
    var last = 1000

    @Option(help: ArgumentHelp("The lowest level to print.", valueName: "level"))
    var level = JobLogLevel.debug

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (0...10_000).contains(last) else { throw ValidationError("--tail must be from 0 to 10000.") }
    }

    @MainActor func run() async throws {
        let source = try common.session().source
        if follow {
            try await untilInterrupted { try await follow(source) }
        } else {
            let rows = try await source.lastLogs(of: id, level: level, limit: last)
            if rows.isEmpty, try await source.jobs(withIDs: [id]).isEmpty { throw JobChangeRefusal.notFound(id) }
            common.printer.show(LogView(rows))
        }
    }

    @MainActor private func follow(_ source: any JobSource) async throws {
        let printer = common.printer
        let ended = try await LogFollowing(source, job: id, level: level).run(last: last) { rows in
            rows.forEach { printer.stream(LogLine($0)) }
            return printer.isOpen
        }
        if let ended { printer.remark(EndedLine(ended)) }
    }
}
