package import JobWorker
import Postgres

/// Changes every job that a filter means, one after another.
package struct BulkChange: Sendable {
    package struct Report: Sendable, Equatable {
        package var changed = 0
        /// Somebody changed them meanwhile, or their state doesn't allow it.
        package var skipped = 0
        /// Why the first of them was skipped.
        package var firstReason: String?

        package init() {}
    }

    private let source: any JobSource
    private static let pageSize = 200

    package init(_ source: any JobSource) { self.source = source }

    /// - Parameters:
    ///   - change: Throws `JobChangeRefusal` for a job to be skipped.
    ///   - progress: Called after each page.
    package func run(
        _ filter: JobFilter, progress: (Report) -> Void = { _ in },
        change: (JobSummary) async throws -> Void
    ) async throws -> Report {
        var report = Report()
        var cursor: JobCursor?
        repeat {
            // By place, not by offset: what was changed may have left the list.
            let page = try await source.jobs(filter, after: cursor, limit: BulkChange.pageSize)
            for job in page.jobs {
                do {
                    try await change(job)
                    report.changed += 1
                } catch let refusal as JobChangeRefusal {
                    report.skipped += 1
                    report.firstReason = report.firstReason ?? refusal.description
                }
            }
            progress(report)
            cursor = page.next
        } while cursor != nil
        return report
    }
}
