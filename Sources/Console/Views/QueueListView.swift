package import JobWorker
import Postgres
package import Terminal

/// Queues as lines of a table.
package struct QueueListView: View {
    private let queues: [QueueStatus]

    package init(_ queues: [QueueStatus]) { self.queues = queues }

    package var isEmpty: Bool { queues.isEmpty }

    package var json: JSON { .object([("queues", .array(queues.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        guard !queues.isEmpty else { return "" }
        var table = Table([
            .init("QUEUE", widthMin: 8), .init("DUE", .right), .init("WAITING", .right), .init("RUNNING", .right),
            .init("OLDEST DUE", .right), .init("NOTE", widthMin: 8),
        ])
        for queue in queues {
            let age = queue.oldestDueAt.map { queue.asOf.duration(since: $0).words }
            let limit = queue.maxRunning.map { "/\($0)" } ?? ""
            table.add([
                .init(queue.name), .init(String(queue.due)), .init(String(queue.depth)),
                .init("\(queue.processing)\(limit)"), .init(age ?? "-"), note(queue),
            ])
        }
        return table.text(for: screen)
    }

    private func note(_ queue: QueueStatus) -> Table.Cell {
        guard let pausedAt = queue.pausedAt else { return "" }
        let by = queue.pausedBy.map { " by \($0)" } ?? ""
        return .init("paused \(pausedAt.ago(queue.asOf))\(by)", .caution)
    }
}

extension QueueStatus {
    var json: JSON {
        .object([
            ("name", .string(name)), ("depth", .integer(depth)), ("due", .integer(due)),
            ("oldest_due_at", JSON(oldestDueAt)), ("processing", .integer(processing)),
            ("max_running", JSON(maxRunning)), ("paused_at", JSON(pausedAt)), ("paused_by", JSON(pausedBy)),
        ])
    }
}
