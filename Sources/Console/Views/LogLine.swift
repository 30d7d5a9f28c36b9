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

/// A row of a job's log on a line of its own.
package struct LogLine: View {
    private let row: JobLogRecord

    package init(_ row: JobLogRecord) { self.row = row }

    package var json: JSON { row.json }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        let time = row.createdAt.map { String($0.text(fractionDigits: 3).replacing("T", with: " ")) } ?? "-"
        let level = (JobLogLevel(text: row.level)?.rawValue ?? row.level).uppercased().oneLine
        let padded = level + String(repeating: " ", count: max(0, 5 - level.count))
        var line = "\(palette.paint(time, .faint))  \(palette.paint(padded, tone))  \(row.message.oneLine)"
        if let metadata = row.metadata, metadata.text != "{}", metadata.text != "null" {
            line += "  " + palette.paint(metadata.text.oneLine, .faint)
        }
        return line + "\n"
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
