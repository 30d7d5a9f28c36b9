package import FoundationEssentials
package import JobWorker
import Postgres

/// Follows the log of a job until the job has ended.
package struct LogFollowing: Sendable {
    private let source: any JobSource
    private let job: UUID
    private let level: JobLogLevel
    private static let pause = Duration.milliseconds(500)
    private static let pageSize = 500

    package init(_ source: any JobSource, job: UUID, level: JobLogLevel) {
        self.source = source
        self.job = job
        self.level = level
    }

    /// - Parameters:
    ///   - last: How many of the rows that are there already to begin with.
    ///   - take: Gets new rows, oldest first; returns whether to go on.
    /// - Returns: The job as it ended, `nil` if `take` didn't want more.
    /// - Throws: `Complaint` where there is no such job.
    package func run(last: Int, take: ([JobLogRecord]) async throws -> Bool) async throws -> JobSummary? {
        var tail = LogTail()
        var patience = Patience()
        let rows = try await source.lastLogs(of: job, level: level, limit: max(1, last))
        guard try await take(tail.begin(rows, last: last)) else { return nil }
        while true {
            // The job first: what its end has written is there then.
            let found = try await patience.read { try await source.jobs(withIDs: [job]).first }
            guard let found else { throw Complaint(.notFound, "there is no job \(job.text)") }
            var cursor = tail.start
            var count = 0
            repeat {
                let from = cursor
                let page = try await patience.read {
                    try await source.logs(of: job, after: from, level: level, limit: LogFollowing.pageSize)
                }
                count = page.count
                if let last = page.last, let createdAt = last.createdAt {
                    cursor = JobLogCursor(createdAt: createdAt, seq: last.seq)
                }
                let fresh = tail.take(page)
                if !fresh.isEmpty, try await !take(fresh) { return nil }
            } while count == LogFollowing.pageSize
            if found.isFinal { return found }
            try await Task.sleep(for: LogFollowing.pause)
        }
    }
}
