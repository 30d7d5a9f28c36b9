package import JobWorker
import Postgres
package import Terminal

/// How a job ended, in a sentence.
package struct EndedLine {
    private let job: JobSummary

    package init(_ job: JobSummary) { self.job = job }

    package func text(for screen: Screen) -> String {
        let status = JobWords.status(job)
        let note = JobWords.note(job).oneLine
        return screen.palette.paint(status.text, status.tone) + (note.isEmpty ? "" : ": \(note)")
    }
}

/// A job's state on a line of its own, for a watch that doesn't redraw.
package struct ChangeLine: View {
    private let job: JobSummary

    package init(_ job: JobSummary) { self.job = job }

    package var json: JSON { job.json }

    package func text(for screen: Screen) -> String {
        let status = JobWords.status(job)
        let words = [
            job.asOf.clock, job.id.text, job.type.oneLine, screen.palette.paint(status.text, status.tone),
            JobWords.note(job).oneLine,
        ]
        return words.filter { !$0.isEmpty }.joined(separator: "  ") + "\n"
    }
}
