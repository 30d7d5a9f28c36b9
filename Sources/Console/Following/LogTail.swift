package import JobWorker
import FoundationEssentials
import Postgres

/// Tells new rows of a job's log from those seen.
///
/// A row takes the time at which its transaction began and is seen when it ends, so a row may appear behind others
/// that are already there. Each look therefore begins a little before the newest one.
package struct LogTail: Sendable {
    private static let overlap = Duration.seconds(5)
    private var newest: Timestamp?
    /// Rows before it were there at the beginning and weren't wanted.
    private var first: JobLogRecord?
    private var seen: [UUID: Timestamp] = [:]

    package init() {}

    /// The first look.
    /// - Parameters:
    ///   - rows: The newest rows that are there, at least one if there is any.
    ///   - last: How many of them are wanted.
    /// - Returns: The wanted ones.
    package mutating func begin(_ rows: [JobLogRecord], last: Int) -> [JobLogRecord] {
        let wanted = rows.suffix(last)
        first = wanted.first ?? rows.last
        _ = take(rows)
        return Array(wanted)
    }

    /// Where the next look begins.
    package var start: JobLogCursor {
        let from = newest.map { $0.advanced(by: .zero - LogTail.overlap) } ?? .distantPast
        return JobLogCursor(createdAt: from, seq: 0)
    }

    /// - Returns: Those not seen before, in the order given.
    package mutating func take(_ rows: [JobLogRecord]) -> [JobLogRecord] {
        let fresh = rows.filter { seen[$0.id] == nil && !isUnwanted($0) }
        for row in fresh {
            guard let createdAt = row.createdAt else { continue }
            seen[row.id] = createdAt
            newest = max(newest ?? createdAt, createdAt)
        }
        let limit = start.createdAt
        if fresh.count > 0 { seen = seen.filter { $0.value >= limit } }
        return fresh
    }

    private func isUnwanted(_ row: JobLogRecord) -> Bool {
        guard let first, let begin = first.createdAt, let createdAt = row.createdAt else { return false }
        return (createdAt, row.seq) < (begin, first.seq)
    }
}
