package import JobWorker
import Postgres
package import Terminal

/// Workers as lines of a table.
package struct WorkerListView: View {
    private let workers: [WorkerStatus]

    package init(_ workers: [WorkerStatus]) { self.workers = workers }

    package var isEmpty: Bool { workers.isEmpty }

    package func text(for screen: Screen) -> String {
        guard !workers.isEmpty else { return "" }
        var table = Table([
            .init("WORKER", widthMin: 16), .init("STATE"), .init("RUNNING", .right), .init("SEEN"),
            .init("STARTED", weight: 4), .init("HOST", widthMin: 6, weight: 3),
            .init("INSTANCE", widthMin: 6, weight: 2),
            .init("VERSION", weight: 1), .init("QUEUES", widthMin: 10), .init("TYPES", widthMin: 14),
        ])
        for worker in workers {
            let limit = worker.maxConcurrent.map { "/\($0)" } ?? ""
            table.add([
                .init(worker.id), state(worker), .init("\(worker.running)\(limit)"),
                .init(worker.seenAt.ago(worker.asOf)),
                .init(worker.startedAt.ago(worker.asOf)), .init(worker.host), .init(worker.instance),
                .init(worker.version ?? "-"), .init(worker.queues.joined(separator: ",")),
                .init(worker.jobTypes.joined(separator: ",")),
            ])
        }
        return table.text(for: screen)
    }

    private func state(_ worker: WorkerStatus) -> Table.Cell {
        switch worker.state {
        case .alive: .init("alive", .good)
        case .silent: .init("silent", .bad)
        case .stopped: .init("stopped", .faint)
        }
    }

    package var json: JSON {
        .object([
            (
                "workers",
                .array(
                    workers.map { worker in
                        .object([
                            ("id", .string(worker.id)), ("state", .string(worker.state.rawValue)),
                            ("instance", .string(worker.instance)), ("host", .string(worker.host)),
                            ("pid", JSON(worker.pid)), ("version", JSON(worker.version)),
                            ("queues", JSON(worker.queues)), ("job_types", JSON(worker.jobTypes)),
                            ("running", .integer(worker.running)), ("max_concurrent", JSON(worker.maxConcurrent)),
                            ("started_at", JSON(worker.startedAt)), ("seen_at", JSON(worker.seenAt)),
                        ])
                    })
            )
        ])
    }
}
