import ArgumentParser
import Console
import JobWorker

struct SchedulesRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Removes a schedule; the jobs it made stay.")

    @OptionGroup var which: ScheduleChoice
    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let session = try common.session(reason: why.reason)
        let schedule = try await which.schedule(session)
        common.printer.show(ScheduleView(try await session.store.removeSchedule(schedule.id, by: session.requester)))
        common.printer.remark("Removed. A file in WORKER_SCHEDULES that still names it brings it back.")
    }
}
