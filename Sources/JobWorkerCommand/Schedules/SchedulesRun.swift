import ArgumentParser
import Console
import JobWorker

struct SchedulesRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Adds a job like those of a schedule, due now, and prints its id.",
        discussion: "Also while it is paused, or an earlier job of it runs. Its next time stays as it is.")

    @OptionGroup var which: ScheduleChoice
    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        let schedule = try await which.schedule(session)
        common.printer.show(AddedJobView(try await session.store.runSchedule(schedule.id, by: session.requester)))
    }
}
