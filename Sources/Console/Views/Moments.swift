import Postgres
import Terminal

extension JSON {
    /// RFC 3339 in UTC, with milliseconds.
    init(_ time: Timestamp?) { self = time.map { .string($0.description) } ?? .null }

    /// As milliseconds, with one decimal.
    init(milliseconds duration: Duration?) {
        guard let duration else {
            self = .null
            return
        }
        let (seconds, attoseconds) = duration.components
        self = .double((Double(seconds) * 1e4 + (Double(attoseconds) / 1e14).rounded()) / 10)
    }
}

extension Timestamp {
    /// `3 min ago`, or `in 2 h`.
    func ago(_ now: Timestamp) -> String { now.duration(since: self).agoWords }

    /// `2026-03-02 08:15:00Z`
    var clock: String { text(fractionDigits: 0).replacing("T", with: " ") }
}
