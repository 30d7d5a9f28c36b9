package import FoundationEssentials
package import JobWorker
import Postgres
import Terminal

/// Many jobs changed by an operation: begun by a command, carried out by it and by the workers alike, so that it goes
/// on when the command ends.
@MainActor
package struct OperationRun {
    private let store: JobStore
    private let requester: Requester
    private let printer: Printer
    private static let sampleSize = 5
    private static let pause = Duration.milliseconds(100)

    package init(_ session: Session, _ printer: Printer) {
        store = session.store
        requester = session.requester
        self.printer = printer
    }

    /// - Parameter isDetached: Whether the workers alone carry it out, and the command ends at once.
    /// - Throws: `Complaint`, also where its rule stopped it.
    package func run(
        _ action: Operation.Action, verb: String, _ filter: JobFilter, _ plan: OperationPlan,
        _ consent: JobChanging.Consent, isDetached: Bool
    ) async throws {
        let count = try await store.count(filter)
        let sample = try await store.jobs(filter, limit: Self.sampleSize).jobs
        let view = ForeseenView(sample, count: count, verb: verb, isDryRun: consent == .dryRun)
        if consent == .dryRun || count == 0 { return printer.show(view) }
        if consent == .asked { try JobChanging.confirm(count, filter, view, verb: verb) }
        let begun = try await store.start(action, where: filter.condition, plan, by: requester)
        if isDetached { return printer.show(OperationView(begun)) }
        try await follow(begun)
    }

    /// The named jobs, one after the other and at once.
    package func run(
        _ ids: [UUID], word: String, change: (UUID) async throws -> JobSummary
    ) async throws {
        var changed: [JobSummary] = []
        var refusals: [JobChangeRefusal] = []
        for id in ids {
            do { changed.append(try await change(id)) } catch let refusal as JobChangeRefusal {
                refusals.append(refusal)
            }
        }
        printer.show(ChangedView(changed, word: word))
        guard !refusals.isEmpty else { return }
        let areMissing = refusals.allSatisfy { if case .notFound = $0 { true } else { false } }
        throw Complaint(
            areMissing ? .notFound : .failed, refusals.map(\.description).joined(separator: "\n"))
    }

    /// Carries an operation out beside the workers, until it is over or stopped.
    package func follow(_ begun: Operation) async throws {
        printer.remark("Operation \(begun.id.text) goes on when this command ends: 'jobworker operations'.")
        var frame = LiveFrame()
        var now = begun
        while !now.isOver, now.state == "running" {
            try await store.stepOperations()
            guard let next = try await store.operation(begun.id) else { break }
            let hasMoved = next.taken > now.taken
            now = next
            if Output.error.isTerminal {
                let bar = ProgressBar(now.taken, of: max(now.total, 1)).text()
                let line = "\(bar)  \(now.changed) of \(now.total), \(now.skipped) skipped, \(now.failed) failed\n"
                Output.error.write(frame.drawing(line, height: Output.error.height))
            }
            if now.state == "running", !(hasMoved && now.rate == nil) { try await Task.sleep(for: Self.pause) }
        }
        if Output.error.isTerminal { Output.error.write(frame.drawing("", height: nil)) }
        printer.show(OperationView(now, skipped: try await store.skipped(by: now.id)))
        guard now.state == "done" else {
            throw Complaint(
                .failed, "operation \(now.id.text) is \(now.state)",
                advice: now.state == "aborted"
                    ? nil : "'jobworker operations resume \(now.id.text)' goes on with the rest, 'abort' ends it.")
        }
    }
}
