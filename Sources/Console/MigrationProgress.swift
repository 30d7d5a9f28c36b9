package import Migrations
import Synchronization
package import Terminal

/// Tells how a migration goes on, and remembers it.
package final class MigrationProgress: Sendable, View {
    private struct Step {
        let migration: Migration
        let duration: Duration
    }

    private let steps = Mutex<[Step]>([])
    private let isQuiet: Bool

    /// - Parameter isQuiet: Whether only the sum is wanted, at the end.
    package init(isQuiet: Bool) { self.isQuiet = isQuiet }

    /// - Parameter duration: `nil` before the migration runs.
    package func report(_ migration: Migration, _ duration: Duration?) {
        if let duration { steps.withLock { $0.append(Step(migration: migration, duration: duration)) } }
        guard !isQuiet else { return }
        // Where nobody watches, a line when it is done is enough.
        switch (duration, Output.standard.isTerminal) {
        case (nil, true): Output.standard.write("\(migration.label)  …")
        case (nil, false): break
        case (let duration?, true): Output.standard.write("\r\(migration.label)  \(duration.words)\u{1B}[K\n")
        case (let duration?, false): Output.standard.write("\(migration.label)  \(duration.words)\n")
        }
    }

    package func text(for screen: Screen) -> String {
        let count = steps.withLock { $0.count }
        switch count {
        case 0: return "Nothing to do: the schema is this program's.\n"
        case 1: return "1 migration applied.\n"
        default: return "\(count) migrations applied.\n"
        }
    }

    package var json: JSON {
        let steps = steps.withLock { $0 }
        return .object([
            (
                "applied",
                .array(
                    steps.map { step in
                        .object([
                            ("version", .integer(step.migration.version)), ("name", .string(step.migration.name)),
                            ("duration_ms", JSON(milliseconds: step.duration)),
                        ])
                    })
            )
        ])
    }
}
