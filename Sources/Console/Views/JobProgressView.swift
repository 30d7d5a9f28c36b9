package import JobWorker
import Postgres
package import Terminal

/// A job on one line, with a bar for its progress: below what its log says.
package struct JobProgressView: View {
    private let job: JobSummary

    package init(_ job: JobSummary) { self.job = job }

    package var json: JSON { job.json }

    package func text(for screen: Screen) -> String {
        let status = JobWords.status(job)
        var rest: [String]
        if job.known == .processing {
            rest = [
                job.percentage.map { ProgressBar(share: $0 / 100).text() },
                job.progressMessage?.oneLine,
                job.startedAt.map {
                    "(\(job.asOf.duration(since: $0).words), attempt \(job.attempts) of \(job.maxAttempts))"
                },
            ].compactMap(\.self)
        } else {
            rest = [JobWords.note(job).oneLine]
        }
        rest.removeAll { $0.isEmpty }
        let text = rest.joined(separator: "  ")
        let room = screen.width.map { max(0, $0 - status.text.displayWidth - 2) }
        return screen.palette.paint(status.text, status.tone) + (text.isEmpty ? "" : "  ")
            + (room.map { text.shortened(to: $0) } ?? text) + "\n"
    }
}
