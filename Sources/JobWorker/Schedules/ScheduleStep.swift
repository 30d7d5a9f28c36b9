package import Cron
package import FoundationEssentials
package import Postgres

/// A schedule whose time has come, or that has no next time yet, as a look at the table found it.
package struct DueSchedule: Sendable {
    package let id: UUID
    /// Another after each change of the row.
    package let version: String
    package let name: String
    /// `nil`: to be found out.
    package let nextRunAt: Timestamp?
    package let cron: String?
    package let everySeconds: Int?
    package let timeZone: String
    package let catchUp: Schedule.CatchUp
}

/// What is to become of a schedule now: the ticks that make jobs, and the time of the next one.
package struct ScheduleStep: Sendable, Hashable {
    package let id: UUID
    package let version: String
    package let name: String
    /// In order.
    package var ticks: [Timestamp] = []
    /// Some were missed that make no job.
    package var leavesOut = false
    package var next: Timestamp?
    /// Why there is no next time, or why the last tick made no job.
    package var error: String?
    /// Why this machine can't tell its times, though another may: then it is no step that can be taken.
    package var obstacle: String?

    /// Most ticks that are made up for.
    package static let catchUpMax = 1000
    /// A tick that is seen this late has not been missed.
    package static let patience = Duration.seconds(60)
    /// So many jobs are inserted in one statement, which has to end within its time limit.
    package static let ticksAtOnce = 1000
    /// A schedule that has more ticks is seen to alone, so many in a statement.
    package static let ticksInPiece = 200

    /// - Parameter now: By the database's clock.
    package init(_ schedule: DueSchedule, now: Timestamp, zones: ZoneDirectory = .system) {
        (id, version, name) = (schedule.id, schedule.version, schedule.name)
        let recurrence: Recurrence
        do throws(CronError) {
            recurrence = try Recurrence(
                cron: schedule.cron, everySeconds: schedule.everySeconds, timeZone: schedule.timeZone, zones: zones)
        } catch {
            if error.isOfMachine { obstacle = error.description } else { self.error = error.description }
            return
        }
        guard let first = schedule.nextRunAt else {
            next = recurrence.next(after: Int(now.microseconds)).map { Timestamp(microseconds: Int64($0)) }
            if next == nil { error = "there is no further time" }
            return
        }
        let due = recurrence.due(
            from: Int(first.microseconds), through: Int(now.microseconds),
            atMost: schedule.catchUp == .all ? ScheduleStep.catchUpMax : 1)
        ticks = due.ticks.map { Timestamp(microseconds: Int64($0)) }
        if schedule.catchUp == .none {
            let isMissed = ticks.last.map { now.duration(since: $0) > ScheduleStep.patience } ?? false
            if isMissed { (ticks, leavesOut) = ([], true) }
        } else if schedule.catchUp == .all, due.isCut {
            leavesOut = true
        }
        next = due.next.map { Timestamp(microseconds: Int64($0)) }
        if next == nil { error = "there is no further time" }
    }
}

extension ScheduleStep {
    /// Steps to be taken in a statement each.
    package static func batches(_ steps: [ScheduleStep]) -> [[ScheduleStep]] {
        var batches: [[ScheduleStep]] = []
        var open: (steps: [ScheduleStep], ticks: Int) = ([], 0)
        for step in steps {
            if step.ticks.count > ticksInPiece {
                batches.append([step])
                continue
            }
            if open.ticks + step.ticks.count > ticksAtOnce {
                batches.append(open.steps)
                open = ([], 0)
            }
            open.steps.append(step)
            open.ticks += step.ticks.count
        }
        return open.steps.isEmpty ? batches : batches + [open.steps]
    }
}
