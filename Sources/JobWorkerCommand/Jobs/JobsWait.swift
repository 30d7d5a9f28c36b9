import ArgumentParser
import Console
import FoundationEssentials

struct JobsWait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Waits until jobs have ended; status 1 unless all of them completed.",
        usage: "jobworker jobs wait <ids> ... [<options>]")

    @Argument(help: "Ids of jobs.", completion: Completions.jobs)
    var ids: [UUID]

    @Option(help: ArgumentHelp("Give up after this, with status 1.", valueName: "length"), transform: lengthOfTime)
    var timeout: Duration?

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let display = ProgressDisplay()
        let jobs = try await JobWaiting(common.session().source, ids: ids).run(timeout: timeout, report: display.show)
        display.clear()
        common.printer.show(JobListView(jobs))
        if let complaint = jobs.lazy.compactMap(\.complaint).first { throw complaint }
    }
}
