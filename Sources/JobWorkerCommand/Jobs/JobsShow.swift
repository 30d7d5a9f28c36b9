import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct JobsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows everything about a job, its log included.")

    @Argument(help: "The job's id.", completion: Completions.jobs)
    var id: UUID

    @Option(help: ArgumentHelp("How many of the newest log rows to show, 0 to 10000.", valueName: "n"))
    var logs = 50

    @OptionGroup var common: CommonOptions

    func validate() throws {
        guard (0...10_000).contains(logs) else { throw ValidationError("--logs must be from 0 to 10000.") }
    }

    @MainActor func run() async throws {
        let source = try common.session().source
        guard let job = try await source.job(withID: id) else { throw JobChangeRefusal.notFound(id) }
        common.printer.show(JobView(job, logs: try await source.lastLogs(of: id, level: .debug, limit: logs)))
    }
}
