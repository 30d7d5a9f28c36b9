package import JobWorker
import Postgres
package import Terminal

/// The rows of a job's log.
package struct LogView: View {
    private let rows: [JobLogRecord]

    package init(_ rows: [JobLogRecord]) { self.rows = rows }

    package var json: JSON { .object([("logs", .array(rows.map(\.json)))]) }

    package func text(for screen: Screen) -> String { rows.map { LogLine($0).text(for: screen) }.joined() }
}

/// A row of a job's log on a line of its own; details that don't fit in stand below.
package struct LogLine: View {
    private let row: JobLogRecord

    package init(_ row: JobLogRecord) { self.row = row }

    package var json: JSON { row.json }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        let time = row.createdAt.map { String($0.text(fractionDigits: 3).replacing("T", with: " ")) } ?? "-"
        let level = (JobLogLevel(text: row.level)?.rawValue ?? row.level).uppercased().oneLine
        let padded = level + String(repeating: " ", count: max(0, 5 - level.count))
        let message = row.message.oneLine
        let line = "\(palette.paint(time, .faint))  \(palette.paint(padded, tone))  \(message)"
        guard let metadata = row.metadata?.text.oneLine, metadata != "{}", metadata != "null" else {
            return line + "\n"
        }
        // Two columns are left for a list that is indented.
        let width = time.count + padded.displayWidth + message.displayWidth + metadata.displayWidth + 8
        guard let room = screen.width, width > room else { return "\(line)  \(palette.paint(metadata, .faint))\n" }
        let lines = metadata.wrapped(to: room, behind: "      ").split(separator: "\n").map {
            palette.paint(String($0), .faint)
        }
        return "\(line)\n" + lines.joined(separator: "\n") + "\n"
    }

    private var tone: Palette.Tone? {
        switch JobLogLevel(text: row.level) {
        case .debug: .faint
        case .warn: .caution
        case .error: .bad
        case .info, nil: nil
        }
    }
}
