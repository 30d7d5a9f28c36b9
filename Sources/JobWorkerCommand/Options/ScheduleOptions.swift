import ArgumentParser
import Console
import FoundationEssentials
import JobWorker

extension Schedule.Overlap: ExpressibleByArgument {}
extension Schedule.CatchUp: ExpressibleByArgument {}

/// The schedule that is meant.
struct ScheduleChoice: ParsableArguments {
    @Argument(help: "The schedule's id or name.")
    var schedule: String

    @Option(help: ArgumentHelp("Its workspace.", valueName: "uuid"))
    var workspace: UUID?

    /// - Throws: `Complaint` where the name means several.
    func find(_ session: Session) async throws -> Schedule? {
        let found = try await session.store.schedules(meant: schedule, in: workspace)
        guard let first = found.first else { return nil }
        guard found.count == 1 || first.id == UUID(uuidString: schedule) else {
            throw Complaint(
                .usage, "several workspaces have a schedule '\(schedule)'", advice: "Name one with --workspace.")
        }
        return first
    }

    /// - Throws: `ScheduleRefusal.notFound`, `Complaint`.
    func schedule(_ session: Session) async throws -> Schedule {
        guard let found = try await find(session) else { throw ScheduleRefusal.notFound(schedule) }
        return found
    }

    @MainActor func enable(_ isEnabled: Bool, _ common: CommonOptions, reason: String?) async throws {
        let session = try common.session(reason: reason)
        var changes = ScheduleChanges()
        changes.isEnabled = isEnabled
        let id = try await schedule(session).id
        let changed = try await session.store.changeSchedule(id, changes, by: session.requester)
        if changed.columns.isEmpty {
            common.printer.remark(isEnabled ? "It was not paused." : "It was paused already.")
        }
        common.printer.show(ScheduleView(changed.schedule))
    }
}

/// What a schedule makes, and when.
struct ScheduleOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The job type.", valueName: "type"))
    var type: String?

    @Option(help: ArgumentHelp("A cron expression, in quotes: '30 2 * * *', or @daily.", valueName: "expression"))
    var cron: String?

    @Option(
        help: ArgumentHelp("In place of a cron expression: each time so much later, 15m.", valueName: "length"),
        transform: lengthOfTime)
    var every: Duration?

    @Option(help: ArgumentHelp("By whose wall clock: an IANA name; UTC by default.", valueName: "zone"))
    var timezone: String?

    @Option(help: ArgumentHelp("JSON, @FILE or - for standard input; {} by default.", valueName: "payload"))
    var payload: String?

    @Option(help: ArgumentHelp("The queue; 'default' by default.", valueName: "name"))
    var queue: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("high (5), normal (0), low (-5), or a number from -10 to 10.", valueName: "priority"))
    var priority: String?

    @Option(help: ArgumentHelp("Most attempts, the first included; 5 by default.", valueName: "n"))
    var maxAttempts: Int?

    @Option(help: ArgumentHelp("Longest time for an attempt: 15m.", valueName: "length"), transform: lengthOfTime)
    var timeout: Duration?

    @Option(
        help: ArgumentHelp(
            "While an earlier job hasn't ended a tick is skipped, or allowed all the same; skip by default.",
            valueName: "skip|allow"))
    var overlap: Schedule.Overlap?

    @Option(
        help: ArgumentHelp(
            "Ticks missed while no worker ran: none of them, one job for all, or all of them (at most 1000); one by default.",
            valueName: "none|one|all"))
    var catchUp: Schedule.CatchUp?

    func validate() throws {
        if cron != nil && every != nil { throw ValidationError("--cron and --every exclude each other.") }
    }

    func requireAll() throws {
        guard type != nil, cron != nil || every != nil else {
            throw ValidationError("A new schedule needs --type, and --cron or --every.")
        }
    }

    /// - Throws: `Complaint`.
    @MainActor func changes() throws -> ScheduleChanges {
        try ScheduleDraft(
            type: type, cron: cron, every: every, timeZone: timezone,
            payload: payload.map { try TextArgument.read($0, limit: ScheduleChanges.payloadBytesMax + 1) },
            queue: queue, priority: priority, maxAttempts: maxAttempts, timeout: timeout, overlap: overlap,
            catchUp: catchUp
        ).changes()
    }
}
