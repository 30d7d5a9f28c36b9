package import FoundationEssentials
package import JobWorker
import Postgres
package import Terminal

/// Operations on many jobs, a line each.
package struct OperationListView: View {
    private let operations: [Operation]

    package init(_ operations: [Operation]) { self.operations = operations }

    package var json: JSON { .object([("operations", .array(operations.map { .raw($0.json.text) }))]) }

    package func text(for screen: Screen) -> String {
        guard !operations.isEmpty else { return "" }
        var table = Table([
            .init("ID"), .init("ACTION"), .init("STATE"), .init("DONE", .right),
            .init("SKIPPED", .right, weight: 2), .init("FAILED", .right, weight: 3), .init("BEGUN", .right),
            .init("BY", widthMin: 8, weight: 1),
        ])
        for operation in operations {
            table.add([
                .init(operation.id.text), .init(operation.action), .init(operation.state, operation.tone),
                .init("\(operation.taken)/\(operation.total)"), .init(String(operation.skipped)),
                .init(String(operation.failed)), .init(operation.createdAt.ago(operation.asOf)),
                .init(operation.actor.oneLine),
            ])
        }
        return table.text(for: screen)
    }
}

/// One of them, with what it skipped.
package struct OperationView: View {
    private let operation: Operation
    private let skipped: [(job: UUID, note: String)]

    package init(_ operation: Operation, skipped: [(job: UUID, note: String)] = []) {
        self.operation = operation
        self.skipped = skipped
    }

    package var json: JSON {
        .object([
            ("operation", .raw(operation.json.text)),
            (
                "skipped",
                .array(skipped.map { .object([("job_id", .string($0.job.text)), ("note", .string($0.note))]) })
            ),
        ])
    }

    package func text(for screen: Screen) -> String {
        let palette = screen.palette
        var lines = [
            "\(operation.id.text)  \(operation.action)  \(palette.paint(operation.state, operation.tone))"
        ]
        if let why = operation.stateReason { lines.append("  \(why.oneLine)") }
        var counts = "  \(operation.changed) changed, \(operation.skipped) skipped, of \(operation.total)"
        if operation.succeeded + operation.failed > 0, operation.action == "retry" || operation.action == "replay" {
            counts += "; \(operation.succeeded) completed, \(operation.failed) failed"
        }
        lines.append(counts)
        var rules: [String] = []
        if let rate = operation.rate { rules.append("\(Self.number(rate)) a second") }
        if let canary = operation.canary { rules.append("first \(canary), then the rest") }
        if let limit = operation.stopOnErrors { rules.append("stops above \(Self.number(limit)) % of failures") }
        if !rules.isEmpty { lines.append("  " + rules.joined(separator: "; ")) }
        lines.append(
            "  begun \(operation.createdAt.ago(operation.asOf)) by \(operation.actor.oneLine)"
                + (operation.reason.map { ": \($0.oneLine)" } ?? ""))
        for entry in skipped { lines.append("  skipped \(entry.job.text): \(entry.note.oneLine)") }
        if operation.skipped > skipped.count, !skipped.isEmpty {
            lines.append("  … and \(operation.skipped - skipped.count) more")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e9 ? String(Int(value)) : String(value)
    }
}

extension Operation {
    fileprivate var tone: Palette.Tone {
        switch state {
        case "done": .good
        case "stopped", "aborted": .bad
        case "paused": .caution
        default: .strong
        }
    }
}
