import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct SchedulesList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the schedules: when each is due next, and what is wrong with it.")

    @Option(help: ArgumentHelp("Only those of this workspace.", valueName: "uuid"))
    var workspace: UUID?

    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let schedules = try await common.session().store.schedules(in: workspace)
        common.printer.show(ScheduleListView(schedules))
        if schedules.isEmpty { common.printer.hint("There are no schedules. 'jobworker schedules set' adds one.") }
    }
}
