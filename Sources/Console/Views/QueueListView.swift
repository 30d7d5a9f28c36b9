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
        var rules: [String] = []
        if queue.weight != 1 { rules.append("weight \(queue.weight)") }
        if queue.isFair { rules.append("fair") }
        if let ageing = queue.ageing { rules.append("a step each \(ageing.words)") }
        if queue.setsAside { rules.append("sets failed jobs aside") }
        guard let pausedAt = queue.pausedAt else { return .init(rules.joined(separator: ", ")) }
        let by = queue.pausedBy.map { " by \($0)" } ?? ""
        return .init((["paused \(pausedAt.ago(queue.asOf))\(by)"] + rules).joined(separator: ", "), .caution)
    }
}

extension QueueStatus {
    var json: JSON {
        .object([
            ("name", .string(name)), ("depth", .integer(depth)), ("due", .integer(due)),
            ("oldest_due_at", JSON(oldestDueAt)), ("processing", .integer(processing)),
            ("max_running", JSON(maxRunning)), ("weight", .integer(weight)),
            ("ageing_seconds", ageing.map { .double($0.seconds) } ?? .null), ("fair", .bool(isFair)),
            ("dead_letter", .bool(setsAside)),
            ("paused_at", JSON(pausedAt)), ("paused_by", JSON(pausedBy)),
        ])
    }
}
