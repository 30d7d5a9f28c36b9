package import JobWorker
import Postgres
package import Terminal

/// Alerts as lines of a table.
package struct AlertListView: View {
    private let alerts: [Alert]

    package init(_ alerts: [Alert]) { self.alerts = alerts }

    package var json: JSON { .object([("alerts", .array(alerts.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        guard !alerts.isEmpty else { return "" }
        var table = Table([
            .init("SINCE"), .init("STATE"), .init("RULE"), .init("SUBJECT", widthMin: 8, weight: 1),
            .init("FINDING", widthMin: 20, weight: 2),
        ])
        for alert in alerts {
            table.add([
                .init(alert.since.ago(alert.asOf)),
                alert.endedAt.map { .init("over \($0.ago(alert.asOf))", .good) } ?? .init("open", .bad),
                .init(alert.rule), .init(alert.subject), .init(alert.message),
            ])
        }
        return table.text(for: screen)
    }
}

extension Alert {
    fileprivate var json: JSON {
        .object([
            ("id", .string(id.text)), ("rule", .string(rule)), ("subject", .string(subject)),
            ("message", .string(message)), ("value", .integer(value)), ("threshold", .integer(threshold)),
            ("since", JSON(since)), ("last_at", JSON(lastAt)), ("ended_at", JSON(endedAt)),
            ("raised_by", .string(raisedBy)), ("resolved_by", JSON(resolvedBy)),
        ])
    }
}
