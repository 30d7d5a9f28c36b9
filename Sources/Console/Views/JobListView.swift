package import JobWorker
import Postgres
package import Terminal

/// Jobs as lines of a table.
package struct JobListView: View {
    private let jobs: [JobSummary]
    /// Where the next page begins; `nil` on the last.
    package let next: JobCursor?

    package init(_ page: JobPage) {
        jobs = page.jobs
        next = page.next
    }

    package init(_ jobs: [JobSummary]) {
        self.jobs = jobs
        next = nil
    }

    package var isEmpty: Bool { jobs.isEmpty }

    package func text(for screen: Screen) -> String {
        guard !jobs.isEmpty else { return "" }
        var table = Table([
            .init("ID"), .init("TYPE", widthMin: 10), .init("QUEUE", widthMin: 7, weight: 3), .init("STATUS"),
            .init("PRIO", .right, weight: 1), .init("TRIES", .right, weight: 2), .init("ADDED", weight: 4),
            .init("NOTE", widthMin: 14),
        ])
        for job in jobs {
            table.add([
                .init(job.id.text), .init(job.type), .init(job.queue), JobWords.status(job),
                .init(String(job.priority)),
                .init("\(job.attempts)/\(job.maxAttempts)"), .init(job.createdAt?.ago(job.asOf) ?? "-"),
                .init(JobWords.note(job)),
            ])
        }
        return table.text(for: screen)
    }

    package var json: JSON {
        .object([("jobs", .array(jobs.map(\.json))), ("next_cursor", JSON(next?.text))])
    }
}
