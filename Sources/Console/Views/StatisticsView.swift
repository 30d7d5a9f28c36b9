package import JobWorker
import Postgres
package import Terminal

/// Figures about jobs, queues, and what nobody serves.
package struct StatisticsView: View {
    private let statistics: JobStatistics
    private let queues: [QueueStatus]
    private let unserved: [UnservedType]?

    /// - Parameters:
    ///   - queues: Empty where only one workspace is looked at, as the following.
    ///   - unserved: `nil` where nobody could tell.
    package init(_ statistics: JobStatistics, queues: [QueueStatus], unserved: [UnservedType]?) {
        self.statistics = statistics
        self.queues = queues
        self.unserved = unserved
    }

    private var oldestDue: Duration? {
        queues.compactMap { queue in queue.oldestDueAt.map { queue.asOf.duration(since: $0) } }.max()
    }

    package var json: JSON {
        .object([
            ("timestamp", JSON(statistics.asOf)), ("queue_depth", .integer(statistics.queueDepth)),
            ("processing", .integer(statistics.processing)),
            ("completed_last_hour", .integer(statistics.completedLastHour)),
            ("failed_last_hour", .integer(statistics.failedLastHour)),
            ("failed_last_day", .integer(statistics.failedLastDay)),
            ("slow_last_day", .integer(statistics.slowLastDay)),
            ("average_duration_ms", JSON(milliseconds: statistics.averageDuration)),
            ("p50_duration_ms", JSON(milliseconds: statistics.durationP50)),
            ("p95_duration_ms", JSON(milliseconds: statistics.durationP95)),
            ("p99_duration_ms", JSON(milliseconds: statistics.durationP99)),
            ("throughput_per_minute", .double(statistics.throughputPerMinute)),
            ("success_rate", JSON(statistics.successRate)),
            ("oldest_due_ms", JSON(milliseconds: oldestDue)),
            (
                "statuses",
                .object(statistics.statuses.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })
            ),
            ("queues", .array(queues.map(\.json))), ("unserved", unserved.map { .array($0.map(\.json)) } ?? .null),
        ])
    }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        var text = palette.paint("Jobs", .strong) + "\n" + counts(palette)
        text += "\n" + palette.paint("Last hour", .strong) + "\n" + lastHour(palette)
        if !queues.isEmpty {
            text += "\n" + palette.paint("Queues", .strong) + "\n"
            text += QueueListView(queues).text(for: screen.indented)
                .split(separator: "\n").map { "  \($0)\n" }.joined()
        }
        if let unserved, !unserved.isEmpty {
            text += "\n" + palette.paint("Waiting without a worker for their type", .caution) + "\n"
            for entry in unserved.prefix(10) {
                let wait = entry.oldest.map { ", the oldest due \($0.ago(statistics.asOf))" } ?? ""
                text += "  \(entry.count)  \(entry.type) in \(entry.queue)\(wait)".oneLine + "\n"
            }
        }
        return text
    }

    private func counts(_ palette: Palette) -> String {
        var lines: [(String, String)] = JobStatus.allCases.map { status in
            let count = statistics.statuses[status.rawValue] ?? 0
            return (palette.paint(status.rawValue, count > 0 ? JobWords.tone(status) : .faint), String(count))
        }
        let known = Set(JobStatus.allCases.map(\.rawValue))
        for (status, count) in statistics.statuses.sorted(by: { $0.key < $1.key }) where !known.contains(status) {
            lines.append((palette.paint(status.isEmpty ? "no status" : status.oneLine, .caution), String(count)))
        }
        let width = lines.reduce(0) { max($0, $1.1.count) }
        return lines.map { name, count in
            "  \(String(repeating: " ", count: width - count.count))\(count)  \(name)\n"
        }.joined()
    }

    private func lastHour(_ palette: Palette) -> String {
        var lines = ["\(statistics.completedLastHour) completed, \(statistics.failedLastHour) failed"]
        if let rate = statistics.successRate {
            // Cut, so that 100 % means all of them.
            let tenths = Int(rate * 1000)
            lines[0] += " (\(tenths / 10).\(tenths % 10) % succeeded), \(statistics.throughputPerMinute) a minute"
        }
        if let average = statistics.averageDuration, let p50 = statistics.durationP50, let p95 = statistics.durationP95,
            let p99 = statistics.durationP99
        {
            lines.append("took \(average.words) on average; p50 \(p50.words), p95 \(p95.words), p99 \(p99.words)")
        }
        lines.append(
            "last day: \(statistics.failedLastDay) failed, \(statistics.slowLastDay) took longer than 5 minutes")
        return lines.map { "  \($0)\n" }.joined()
    }
}

extension Screen {
    /// Narrower by two blanks.
    var indented: Screen { Screen(width: width.map { max(1, $0 - 2) }, palette: palette) }
}

extension UnservedType {
    var json: JSON {
        .object([
            ("job_type", .string(type)), ("queue", .string(queue)), ("count", .integer(count)),
            ("oldest_due_at", JSON(oldest)),
        ])
    }
}
