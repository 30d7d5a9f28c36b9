package import FoundationEssentials
package import JobWorker
import Postgres

/// Follows jobs until they have ended.
package struct JobWaiting: Sendable {
    private let source: any JobSource
    private let ids: [UUID]
    private static let pauseMin = Duration.milliseconds(150)
    private static let pauseMax = Duration.seconds(1)

    package init(_ source: any JobSource, ids: [UUID]) {
        self.source = source
        self.ids = ids
    }

    /// - Parameters:
    ///   - timeout: `nil` waits for as long as it takes.
    ///   - report: Called after each look.
    /// - Returns: The jobs, all ended.
    /// - Throws: `Complaint` where one isn't there, or time is up.
    package func run(timeout: Duration? = nil, report: ([JobSummary]) async throws -> Void = { _ in }) async throws
        -> [JobSummary]
    {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        var pause = JobWaiting.pauseMin
        var patience = Patience()
        while true {
            let jobs = try await patience.read { try await source.jobs(withIDs: ids) }
            let present = Set(jobs.map(\.id))
            if let missing = ids.first(where: { !present.contains($0) }) {
                throw Complaint(.notFound, "there is no job \(missing.text)")
            }
            try await report(jobs)
            let waiting = jobs.filter { !$0.isFinal }
            if waiting.isEmpty { return jobs }
            if let deadline, .now >= deadline, let first = waiting.first {
                let others = waiting.count > 1 ? " and \(waiting.count - 1) more" : ""
                throw Complaint(
                    .failed, "job \(first.id.text)\(others) has not ended in time: it is \(first.status ?? "")")
            }
            try await Task.sleep(for: min(pause, deadline.map { max(.zero, $0 - .now) } ?? pause))
            pause = min(pause * 3 / 2, JobWaiting.pauseMax)
        }
    }
}
