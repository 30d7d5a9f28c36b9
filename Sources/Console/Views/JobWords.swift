import JobWorker
import Postgres
import Terminal

/// A job's state in words and colours.
enum JobWords {
    static func status(_ job: JobSummary) -> Table.Cell {
        guard let known = job.known else { return Table.Cell(job.status ?? "none", .caution) }
        return Table.Cell(known.rawValue, tone(known))
    }

    static func tone(_ status: JobStatus) -> Palette.Tone? {
        switch status {
        case .pending: nil
        case .blocked: .caution
        case .processing: .busy
        case .completed: .good
        case .failed, .deadLetter: .bad
        case .cancelled: .faint
        }
    }

    /// What it waits for, does or ended with.
    static func note(_ job: JobSummary) -> String {
        let error = job.errorMessage ?? ""
        switch job.known {
        case .pending:
            let wait = wait(job)
            return error.isEmpty ? wait : "\(wait): \(error)"
        case .blocked: return "waits for other jobs"
        case .processing:
            let percentage = job.percentage.map { "\(Int(max(0, min(100, $0)).rounded())) %" }
            let running = job.startedAt.map { "for \(job.asOf.duration(since: $0).words)" }
            return [percentage, job.progressMessage, percentage == nil ? running : nil].compactMap(\.self)
                .joined(separator: " ")
        case .completed:
            guard let start = job.startedAt, let end = job.completedAt else { return "" }
            return "took \(end.duration(since: start).words)"
        case .failed, .deadLetter: return error
        case .cancelled: return job.completedAt.map { $0.ago(job.asOf) } ?? ""
        case nil: return "no worker touches it"
        }
    }

    private static func wait(_ job: JobSummary) -> String {
        guard let due = job.dueAt else { return "never due: it has no time" }
        let wait = job.asOf.duration(since: due).agoWords
        if due <= job.asOf { return wait == "now" ? "due now" : "due for \(job.asOf.duration(since: due).words)" }
        let isRetry = job.nextRetryAt == due && job.attempts > 0
        return isRetry ? "again \(wait)" : "due \(wait)"
    }
}
