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
    package func jobs(_ source: any JobSource, ids: [UUID], filter: JobFilter, limit: Int) async throws {
        var frame = LiveFrame()
        var feed = ChangeFeed()
        var patience = Patience()
        while printer.isOpen {
            let jobs = try await patience.read {
                try await ids.isEmpty
                    ? source.jobs(filter, after: nil, limit: limit).jobs : source.jobs(withIDs: ids)
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

    /// Shows one job until it has ended, with the rows of its log as they come: above a line with its progress on a
    /// terminal, else between the lines of its changes. As JSON the changes alone.
    /// - Parameter last: How many of the rows that are there already to begin with.
    package func job(_ source: any JobSource, id: UUID, last: Int) async throws {
        var frame = LiveFrame()
        var feed = ChangeFeed()
        var patience = Patience()
        var tail = LogTail()
        var rows = tail.begin(try await source.lastLogs(of: id, level: .debug, limit: max(1, last)), last: last)
        while printer.isOpen {
            // The job first: what its end has written is there then.
            guard let job = try await patience.read({ try await source.jobs(withIDs: [id]).first }) else {
                throw Complaint(.notFound, "there is no job \(id.text)")
            }
            let start = tail.start
            rows += tail.take(
                try await patience.read { try await source.logs(of: id, after: start, level: .debug, limit: 500) })
            if printer.canRedraw {
                printer.redraw(JobProgressView(job), below: rows.map { LogLine($0) }, &frame)
            } else {
                if !printer.isJSON { rows.forEach { printer.stream(LogLine($0)) } }
                for job in feed.changes(in: [job]) { printer.stream(ChangeLine(job)) }
            }
            rows = []
            if job.isFinal { return }
            try await Task.sleep(for: interval)
        }
    }
}
