package import FoundationEssentials
package import JobWorker
import Postgres
import Terminal

/// Shows something again and again: in its place on a terminal, else by printing what is new.
@MainActor
package struct Watching {
    private let printer: Printer
    private let interval: Duration

    package init(_ printer: Printer, interval: Duration) {
        self.printer = printer
        self.interval = interval
    }

    /// Shows a view until nobody reads any more.
    package func views(_ read: () async throws -> some View) async throws {
        var frame = LiveFrame()
        var patience = Patience()
        while printer.isOpen {
            let view = try await patience.read(read)
            if printer.canRedraw { printer.redraw(view, &frame) } else { printer.stream(view) }
            try await Task.sleep(for: interval)
        }
    }

    /// Shows jobs until all of them have ended, or nobody reads any more.
    /// - Parameter ids: Empty for those a filter means, which never end.
    package func jobs(_ store: JobStore, ids: [UUID], filter: JobFilter, limit: Int) async throws {
        var frame = LiveFrame()
        var feed = ChangeFeed()
        var patience = Patience()
        while printer.isOpen {
            let jobs = try await patience.read {
                try await ids.isEmpty ? store.jobs(filter, limit: limit).jobs : store.jobs(withIDs: ids)
            }
            let present = Set(jobs.map(\.id))
            if let missing = ids.first(where: { !present.contains($0) }) {
                throw Complaint(.notFound, "there is no job \(missing.text)")
            }
            if printer.canRedraw {
                printer.redraw(JobListView(jobs), &frame)
            } else {
                for job in feed.changes(in: jobs) { printer.stream(ChangeLine(job)) }
            }
            if !ids.isEmpty, jobs.allSatisfy(\.isFinal) { return }
            try await Task.sleep(for: interval)
        }
    }
}
