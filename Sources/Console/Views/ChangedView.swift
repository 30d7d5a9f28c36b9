package import JobWorker
import Postgres
package import Terminal

/// Jobs changed by hand, one by one.
package struct ChangedView: View {
    private let jobs: [JobSummary]
    private let word: String

    /// - Parameter word: What was done: `cancelled`.
    package init(_ jobs: [JobSummary], word: String) {
        self.jobs = jobs
        self.word = word
    }

    package func text(for screen: Screen) -> String { jobs.map { "\($0.id.text)  \(word)\n" }.joined() }

    package var json: JSON { .object([("jobs", .array(jobs.map(\.json)))]) }
}

/// Many jobs changed by hand at once.
package struct BulkView: View {
    private let report: BulkChange.Report
    private let word: String

    package init(_ report: BulkChange.Report, word: String) {
        self.report = report
        self.word = word
    }

    package func text(for screen: Screen) -> String {
        guard report.skipped > 0 else { return "\(report.changed) \(word)\n" }
        return "\(report.changed) \(word), \(report.skipped) skipped (\((report.firstReason ?? "").oneLine))\n"
    }

    package var json: JSON {
        .object([
            ("matched", .integer(report.changed + report.skipped)), ("changed", .integer(report.changed)),
            ("skipped", .integer(report.skipped)),
        ])
    }
}
