import ArgumentParser
import Console
import JobWorker

struct SchedulesShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows everything about a schedule, its next five times included.")

    @OptionGroup var which: ScheduleChoice
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session()
        common.printer.show(ScheduleView(try await which.schedule(session)))
    }
}
