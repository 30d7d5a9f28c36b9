package import FoundationEssentials
package import JobWorker
import Postgres
import Terminal

/// What a person does to jobs: named ones, or all that a filter means.
@MainActor
package struct JobChanging {
    package enum Action: Sendable {
        case cancel, retry, delete

        /// What a filter without a status means.
        var statuses: [JobStatus] {
            switch self {
            case .cancel: [.pending, .blocked, .processing]
            case .retry: [.failed]
            case .delete: JobStatus.allCases.filter(\.isFinal)
            }
        }

        /// Whether a job's state allows it.
        func isPossible(for job: JobSummary) -> Bool {
            switch (self, job.known) {
            case (_, nil): false
            case (.cancel, let status?): !status.isFinal
            case (.retry, let status?): status == .pending || (status.isFinal && status != .completed)
            case (.delete, let status?): status.isFinal
            }
        }

        var verb: String {
            switch self {
            case .cancel: "cancel"
            case .retry: "retry"
            case .delete: "delete"
            }
        }

        var done: String {
            switch self {
            case .cancel: "cancelled"
            case .retry: "retried"
            case .delete: "deleted"
            }
        }
    }

    /// What has to be said before many jobs are changed.
    package enum Consent: Sendable {
        /// A person at the terminal is asked.
        case asked
        case given
        /// Nothing is changed, only told.
        case dryRun
    }

    private let action: Action
    private let source: any JobSource
    private let printer: Printer
    private static let sampleSize = 5
    /// From here on the number has to be typed, as a "yes" is said too easily.
    private static let manyMin = 100

    package init(_ action: Action, _ source: any JobSource, _ printer: Printer) {
        self.action = action
        self.source = source
        self.printer = printer
    }

    /// Changes the named jobs, all that can be changed.
    /// - Throws: `Complaint` if one couldn't.
    package func run(_ ids: [UUID], isDryRun: Bool = false) async throws {
        var changed: [JobSummary] = []
        var refusals: [JobChangeRefusal] = []
        for id in ids {
            do {
                changed.append(isDryRun ? try await foresee(id) : try await source.change(id, action))
            } catch let refusal as JobChangeRefusal { refusals.append(refusal) }
        }
        if isDryRun {
            printer.show(ForeseenView(changed, count: changed.count, verb: action.verb, isDryRun: true))
        } else {
            printer.show(ChangedView(changed, word: action.done))
        }
        guard let first = refusals.first else { return }
        let areMissing = refusals.allSatisfy { if case .notFound = $0 { true } else { false } }
        throw Complaint(
            areMissing ? .notFound : .failed, refusals.map(\.description).joined(separator: "\n"),
            advice: Complaint(first).advice)
    }

    /// The job, if it could be changed.
    private func foresee(_ id: UUID) async throws -> JobSummary {
        guard let job = try await source.jobs(withIDs: [id]).first else { throw JobChangeRefusal.notFound(id) }
        guard action.isPossible(for: job) else {
            throw JobChangeRefusal.conflict(
                "job \(id.text) is \(job.status ?? "without a status") and can't be \(action.done)")
        }
        return job
    }

    /// Changes every job a filter means, once that is confirmed.
    /// - Throws: `Complaint` where the filter means everything, or nobody confirms.
    package func run(_ filter: JobFilter, _ consent: Consent) async throws {
        guard !filter.isEverything else {
            throw Complaint(
                .usage, "say which jobs to \(action.verb): ids, or options such as --workspace and --status")
        }
        var filter = filter
        if filter.statuses.isEmpty { filter.statuses = action.statuses }
        let count = try await source.count(filter)
        if consent == .dryRun {
            let sample = try await source.jobs(filter, after: nil, limit: Self.sampleSize).jobs
            return printer.show(ForeseenView(sample, count: count, verb: action.verb, isDryRun: true))
        }
        if consent == .asked, count > 0 {
            let sample = try await source.jobs(filter, after: nil, limit: Self.sampleSize).jobs
            let view = ForeseenView(sample, count: count, verb: action.verb, isDryRun: false)
            try Self.confirm(count, filter, view, verb: action.verb)
        }
        let display = BulkDisplay(total: count, word: action.done)
        let report = try await BulkChange(source).run(filter, progress: display.show) { job in
            _ = try await source.change(job.id, action)
        }
        display.clear()
        printer.show(BulkView(report, word: action.done))
    }

    /// Asks the person at the terminal.
    /// - Throws: `Complaint` where there is nobody, or the answer isn't yes.
    static func confirm(_ count: Int, _ filter: JobFilter, _ view: ForeseenView, verb: String) throws {
        let statuses = filter.statuses.map(\.rawValue).joined(separator: ", ")
        let what = "\(count) job\(count == 1 ? "" : "s") (\(statuses))"
        guard SecretPrompt.isPossible else {
            throw Complaint(
                .usage,
                "\(what) match\(count == 1 ? "es" : ""); nobody can be asked here, so say --yes to \(verb) them",
                advice: "--dry-run shows what would be done.")
        }
        Output.error.write(view.text(for: .of(.error)))
        let answer = count < Self.manyMin ? "yes" : String(count)
        Output.error.write(
            count < Self.manyMin ? "Type 'yes' to go on: " : "Type the number of jobs to go on: ")
        guard readLine() == answer else { throw Complaint(.interrupted, "nothing was changed") }
    }
}

/// Shows on standard error how far a change of many jobs has come; nothing where that is no terminal.
@MainActor
private final class BulkDisplay {
    private let total: Int
    private let word: String
    private var frame = LiveFrame()

    init(total: Int, word: String) {
        self.total = total
        self.word = word
    }

    func show(_ report: BulkChange.Report) {
        guard Output.error.isTerminal else { return }
        let done = report.changed + report.skipped
        let skipped = report.skipped > 0 ? ", \(report.skipped) skipped" : ""
        let bar = ProgressBar(done, of: max(total, done)).text()
        Output.error.write(
            frame.drawing("\(bar)  \(report.changed) of \(total) \(word)\(skipped)\n", height: Output.error.height))
    }

    func clear() {
        guard Output.error.isTerminal else { return }
        Output.error.write(frame.drawing("", height: nil))
    }
}
