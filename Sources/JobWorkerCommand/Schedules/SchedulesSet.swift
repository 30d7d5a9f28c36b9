import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

struct SchedulesSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Changes a schedule, or adds it if there is none of that name.",
        discussion: "What isn't given stays as it is. To add one, --workspace, --type and --cron or --every are needed."
    )

    @OptionGroup var which: ScheduleChoice
    @OptionGroup var options: ScheduleOptions
    @OptionGroup var why: ReasonOptions
    @OptionGroup var common: CommonOptions

    @MainActor func run() async throws {
        let changes = try options.changes()
        let session = try common.session(reason: why.reason)
        if let schedule = try await which.find(session) {
            let changed = try await session.store.changeSchedule(schedule.id, changes, by: session.requester)
            if changed.columns.isEmpty { common.printer.remark("Nothing differs.") }
            common.printer.show(ScheduleView(changed.schedule))
            return
        }
        guard let workspace = which.workspace, UUID(uuidString: which.schedule) == nil else {
            throw ScheduleRefusal.notFound(which.schedule)
        }
        try options.requireAll()
        let schedule = try await session.store.addSchedule(
            changes, named: which.schedule, in: workspace, by: session.requester)
        common.printer.show(ScheduleView(schedule))
    }
}
