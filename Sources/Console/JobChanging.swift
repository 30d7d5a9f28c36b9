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

    private let action: Action
    private let session: Session
    private let printer: Printer

    package init(_ action: Action, _ session: Session, _ printer: Printer) {
        self.action = action
        self.session = session
        self.printer = printer
    }

    /// Changes the named jobs, all that can be changed.
    /// - Throws: `Complaint` if one couldn't.
    package func run(_ ids: [UUID]) async throws {
        var changed: [JobSummary] = []
        var refusals: [JobChangeRefusal] = []
        for id in ids {
            do {
                changed.append(try await change(id))
            } catch let refusal as JobChangeRefusal { refusals.append(refusal) }
        }
        printer.show(ChangedView(changed, word: action.done))
        guard let first = refusals.first else { return }
        let areMissing = refusals.allSatisfy { if case .notFound = $0 { true } else { false } }
        throw Complaint(
            areMissing ? .notFound : .failed, refusals.map(\.description).joined(separator: "\n"),
            advice: Complaint(first).advice)
    }

    /// Changes every job a filter means, once that is confirmed.
    /// - Throws: `Complaint` where the filter means everything, or nobody confirms.
    package func run(_ filter: JobFilter, isConfirmed: Bool) async throws {
        guard !filter.isEverything else {
            throw Complaint(
                .usage, "say which jobs to \(action.verb): ids, or options such as --workspace and --status")
        }
        var filter = filter
        if filter.statuses.isEmpty { filter.statuses = action.statuses }
        if !isConfirmed { try confirm(try await session.store.count(filter), filter) }
        let report = try await BulkChange(session.store).run(
            filter, progress: { if $0.changed >= 1000 { printer.hint("\($0.changed) \(action.done) so far") } },
            change: { _ = try await change($0.id) })
        printer.show(BulkView(report, word: action.done))
    }

    private func change(_ id: UUID) async throws -> JobSummary {
        switch action {
        case .cancel: try await session.store.cancel(id, by: session.requester)
        case .retry: try await session.store.retry(id, by: session.requester)
        case .delete: try await session.store.delete(id, by: session.requester)
        }
    }

    private func confirm(_ count: Int, _ filter: JobFilter) throws {
        let statuses = filter.statuses.map(\.rawValue).joined(separator: ", ")
        let what = "\(count) job\(count == 1 ? "" : "s") (\(statuses))"
        guard count > 0 else { return }
        guard SecretPrompt.isPossible else {
            throw Complaint(.usage, "\(what) match; nobody can be asked here, so say --yes to \(action.verb) them")
        }
        Output.error.write("This will \(action.verb) \(what). Type 'yes' to go on: ")
        guard readLine() == "yes" else { throw Complaint(.interrupted, "nothing was changed") }
    }
}
