package import JobWorker
import Postgres
package import Terminal

/// Limits as lines of a table.
package struct LimitListView: View {
    private let limits: [JobLimitStatus]

    package init(_ limits: [JobLimitStatus]) { self.limits = limits }

    package var json: JSON { .object([("limits", .array(limits.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        guard !limits.isEmpty else { return "" }
        var table = Table([
            .init("LIMIT", widthMin: 8), .init("TYPE", widthMin: 8), .init("WORKSPACE", widthMin: 8, weight: 1),
            .init("RUNNING", .right), .init("RATE"), .init("BURST", .right),
        ])
        for status in limits {
            let limit = status.limit
            table.add([
                .init(limit.name), .init(limit.jobType ?? "any"),
                .init(limit.isForEachWorkspace ? "each" : limit.workspaceID?.text ?? "all"),
                .init("\(status.running)\(limit.maxRunning.map { "/\($0)" } ?? "")"),
                .init(limit.rate.map { "\($0.starts) in \($0.period.words)" } ?? "-"),
                .init(limit.rate?.burst.map(String.init) ?? "-"),
            ])
        }
        return table.text(for: screen)
    }
}

extension JobLimitStatus {
    package var json: JSON {
        .object([
            ("name", .string(limit.name)), ("job_type", JSON(limit.jobType)),
            ("workspace_id", JSON(limit.workspaceID?.text)), ("each_workspace", .bool(limit.isForEachWorkspace)),
            ("max_running", JSON(limit.maxRunning)), ("rate", JSON(limit.rate?.starts)),
            ("period_seconds", JSON(limit.rate.map { Int($0.period.components.seconds) })),
            ("burst", JSON(limit.rate?.burst)), ("running", .integer(running)),
        ])
    }
}
