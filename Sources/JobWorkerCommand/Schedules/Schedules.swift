import ArgumentParser

struct Schedules: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows and changes recurring jobs.",
        discussion: """
            A schedule is meant by its id, or by its name, with --workspace where several workspaces have that name.

            Examples:
              jobworker schedules set nightly --workspace $WS --type report --cron '30 2 * * *' --timezone Europe/Berlin
              jobworker schedules next '0 9 * * MON-FRI' --timezone America/New_York
              jobworker schedules pause nightly
            """,
        subcommands: [
            SchedulesList.self, SchedulesShow.self, SchedulesAdd.self, SchedulesSet.self, SchedulesRemove.self,
            SchedulesPause.self, SchedulesResume.self, SchedulesRun.self, SchedulesNext.self,
        ], defaultSubcommand: SchedulesList.self)
}
