import FoundationEssentials
package import JobWorker
import Postgres
package import Terminal

/// What failed, by error: a line each, the largest group first.
package struct ErrorGroupsView: View {
    private let groups: [ErrorGroup]

    package init(_ groups: [ErrorGroup]) { self.groups = groups }

    package var json: JSON { .object([("groups", .array(groups.map(\.json)))]) }

    package func text(for screen: Screen) -> String {
        guard !groups.isEmpty else { return "" }
        var table = Table([
            .init("GROUP"), .init("JOBS", .right), .init("ASIDE", .right), .init("WORKSPACES", .right, weight: 1),
            .init("LAST", .right), .init("TYPE", widthMin: 10), .init("ERROR", widthMin: 26, weight: 3),
        ])
        for group in groups {
            table.add([
                .init(group.id ?? "-"), .init(String(group.count)), .init(String(group.deadLetters)),
                .init(String(group.workspaces)), .init(group.lastFailedAt?.ago(group.asOf) ?? "-"),
                .init(group.jobType.oneLine),
                .init(group.pattern.isEmpty ? "(no message)" : group.pattern.oneLine, .bad),
            ])
        }
        return table.text(for: screen)
    }
}

extension ErrorGroup {
    var json: JSON {
        .object([
            ("id", JSON(id)), ("job_type", .string(jobType)), ("pattern", .string(pattern)), ("count", .integer(count)),
            ("dead_letters", .integer(deadLetters)), ("workspaces", .integer(workspaces)),
            ("first_failed_at", JSON(firstFailedAt)), ("last_failed_at", JSON(lastFailedAt)),
            ("example_id", .string(exampleID.text)),
        ])
    }
}
