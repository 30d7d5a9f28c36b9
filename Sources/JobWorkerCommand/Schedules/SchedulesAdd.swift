import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct SchedulesAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Adds a schedule; refused where the workspace has one of that name.")

    @Argument(help: "Its name, one of a kind in the workspace.")
    var name: String

    @Option(help: ArgumentHelp("The workspace.", valueName: "uuid"))
    var workspace: UUID

    @OptionGroup var options: ScheduleOptions
    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    func validate() throws { try options.requireAll() }

    @MainActor func run() async throws {
        let changes = try options.changes()
        let session = try common.session(reason: why.reason)
        let schedule = try await session.store.addSchedule(
            changes, named: name, in: workspace, by: session.requester)
        common.printer.show(ScheduleView(schedule))
    }
}
