import Cron
package import FoundationEssentials
package import JobWorker
package import Postgres
package import Terminal

/// Schedules as lines of a table.
package struct ScheduleListView: View {
    private let schedules: [Schedule]

    package init(_ schedules: [Schedule]) { self.schedules = schedules }

    package var json: JSON { .object([("schedules", .array(schedules.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        guard !schedules.isEmpty else { return "" }
        var table = Table([
            .init("NAME", widthMin: 8), .init("WORKSPACE", widthMin: 8, weight: 1), .init("TYPE", widthMin: 8),
            .init("WHEN", widthMin: 8), .init("NEXT"), .init("LAST", weight: 2), .init("NOTE", widthMin: 8),
        ])
        for schedule in schedules {
            table.add([
                .init(schedule.name), .init(schedule.workspaceID.text), .init(schedule.jobType), .init(schedule.pace),
                .init(schedule.isEnabled ? schedule.nextRunAt?.ago(schedule.asOf) ?? "-" : "-"),
                .init(schedule.lastRunAt?.ago(schedule.asOf) ?? "-"), note(schedule),
            ])
        }
        return table.text(for: screen)
    }

    private func note(_ schedule: Schedule) -> Table.Cell {
        if !schedule.isEnabled { return .init("paused", .caution) }
        if let error = schedule.lastError { return .init(error, .bad) }
        if let skipped = schedule.lastSkippedAt, schedule.lastRunAt.map({ $0 < skipped }) ?? true {
            return .init("skipped \(skipped.ago(schedule.asOf))", .caution)
        }
        return ""
    }
}

/// One schedule with everything about it.
package struct ScheduleView: View {
    private let schedule: Schedule
    private static let upcomingShown = 5

    package init(_ schedule: Schedule) { self.schedule = schedule }

    package var json: JSON { schedule.json }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        let state = schedule.isEnabled ? "" : "  " + palette.paint("paused", .caution)
        var text = "\(palette.paint(schedule.name.oneLine, .strong))\(state)\n\n"
        let width = facts.reduce(0) { max($0, $1.0.count) }
        for (name, value) in facts {
            text +=
                "  \(palette.paint(name, .faint))\(String(repeating: " ", count: width - name.count + 2))\(value.oneLine)\n"
        }
        let upcoming = schedule.upcoming(ScheduleView.upcomingShown)
        if !upcoming.isEmpty {
            text += "\n\(palette.paint("Next", .strong))\n"
            for line in NextTimesView.lines(upcoming, schedule.timeZone) { text += "  \(line)\n" }
        }
        if schedule.payload.text != "{}" {
            text += "\n\(palette.paint("Payload", .strong))\n"
            for line in JSON.indented(schedule.payload.text).manyLines.split(separator: "\n") { text += "  \(line)\n" }
        }
        return text
    }

    private var facts: [(String, String)] {
        var facts = [
            ("id", schedule.id.text), ("workspace", schedule.workspaceID.text), ("type", schedule.jobType),
            ("queue", "\(schedule.queue), priority \(schedule.priority)"), ("when", schedule.pace),
            ("overlap", schedule.overlap.rawValue), ("catch up", schedule.catchUp.rawValue),
            ("attempts", String(schedule.maxAttempts)),
        ]
        if let seconds = schedule.timeoutSeconds { facts.append(("time-out", Duration.seconds(seconds).words)) }
        for (name, time) in [("last", schedule.lastRunAt), ("last skipped", schedule.lastSkippedAt)] {
            if let time { facts.append((name, "\(time.clock) (\(time.ago(schedule.asOf)))")) }
        }
        if let error = schedule.lastError { facts.append(("error", error)) }
        return facts
    }
}

extension Schedule {
    /// When it recurs, in a few words.
    fileprivate var pace: String {
        if let everySeconds { return "every \(Duration.seconds(everySeconds).words)" }
        return (cron ?? "-") + (timeZone == "UTC" ? "" : " \(timeZone)")
    }

    var json: JSON {
        .object([
            ("id", .string(id.text)), ("workspace_id", .string(workspaceID.text)), ("name", .string(name)),
            ("job_type", .string(jobType)), ("payload", .raw(payload.text)), ("job_queue", .string(queue)),
            ("priority", .integer(priority)), ("max_attempts", .integer(maxAttempts)),
            ("timeout_seconds", JSON(timeoutSeconds)), ("cron", JSON(cron)), ("every_seconds", JSON(everySeconds)),
            ("timezone", .string(timeZone)), ("overlap", .string(overlap.rawValue)),
            ("catch_up", .string(catchUp.rawValue)), ("enabled", .bool(isEnabled)), ("next_run_at", JSON(nextRunAt)),
            ("last_run_at", JSON(lastRunAt)), ("last_skipped_at", JSON(lastSkippedAt)), ("last_error", JSON(lastError)),
            ("created_at", JSON(createdAt)), ("updated_at", JSON(updatedAt)),
            ("next_runs", .array(upcoming(5).map { JSON($0) })),
        ])
    }
}

/// When a cron expression is due next.
package struct NextTimesView: View {
    private let times: [Timestamp]
    private let timeZone: String

    /// - Parameter after: `nil` for now, by this machine's clock.
    /// - Throws: `Complaint`.
    package init(expression: String, timeZone: String, count: Int, after: Timestamp?) throws(Complaint) {
        let start = after.map { Int($0.microseconds) } ?? Int(Date().timeIntervalSince1970 * 1_000_000)
        do throws(CronError) {
            let recurrence = try Recurrence(cron: expression, everySeconds: nil, timeZone: timeZone)
            times = recurrence.upcoming(count, after: start).map { Timestamp(microseconds: Int64($0)) }
        } catch {
            throw Complaint(.usage, error.description)
        }
        self.timeZone = timeZone
    }

    package var json: JSON { .object([("next_runs", .array(times.map { JSON($0) }))]) }

    package func text(for screen: Screen) -> String {
        NextTimesView.lines(times, timeZone).map { $0 + "\n" }.joined()
    }

    /// Each by UTC, and by the zone's wall clock beside it.
    static func lines(_ times: [Timestamp], _ timeZone: String) -> [String] {
        guard timeZone != "UTC", let rules = try? ZoneDirectory.system.rules(of: timeZone) else {
            return times.map(\.clock)
        }
        return times.map { time in
            let seconds = rules.offset(at: Int(time.microseconds / 1_000_000))
            let wall = Timestamp(microseconds: time.microseconds + Int64(seconds) * 1_000_000)
            return "\(time.clock)  \(wall.clock.dropLast()) \(timeZone)"
        }
    }
}

/// The id of a job that was added.
package struct AddedJobView: View {
    private let id: UUID

    package init(_ id: UUID) { self.id = id }

    package var json: JSON { .object([("id", .string(id.text))]) }

    package func text(for screen: Screen) -> String { id.text + "\n" }
}
