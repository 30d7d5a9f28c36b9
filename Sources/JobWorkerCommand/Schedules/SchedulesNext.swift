import ArgumentParser
import Console
import Postgres

struct SchedulesNext: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next", abstract: "Prints the next times of a cron expression; needs no database.",
        discussion: """
            Five fields: minute, hour, day of month, month, day of week; with names (MON, JAN), lists (1,2), ranges (1-5), \
            steps (*/10), L for the last day of the month, FRIL for its last Friday. Or @hourly, @daily, @weekly, \
            @monthly, @yearly. Where both days are given, either is enough.
            """)

    @Argument(help: "The expression, in quotes.")
    var expression: String

    @Option(help: ArgumentHelp("An IANA name such as Europe/Berlin.", valueName: "zone"))
    var timezone = "UTC"

    @Option(name: .shortAndLong, help: ArgumentHelp("How many, 1 to 1000.", valueName: "n"))
    var number = 5

    @Option(
        help: ArgumentHelp("Those after this time; now by default.", valueName: "time"), transform: pointInTime)
    var after: Timestamp?

    @Flag(help: "Print JSON: one document.")
    var json = false

    func validate() throws {
        guard (1...1000).contains(number) else { throw ValidationError("--number must be from 1 to 1000.") }
    }

    @MainActor func run() async throws {
        Printer(isJSON: json).show(
            try NextTimesView(expression: expression, timeZone: timezone, count: number, after: after))
    }
}
