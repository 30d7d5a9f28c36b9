package import JobWorker
import Postgres
package import Terminal

/// Where each migration stands, and what the pending ones would replace.
package struct MigrationsView: View {
    package typealias Policy = (table: String, policy: String, definition: String)

    private let entries: [Migrator.Entry]
    private let policies: [Policy]
    private let isDryRun: Bool

    /// - Parameter policies: `nil` where it isn't a dry run.
    package init(_ entries: [Migrator.Entry], policies: [Policy]? = nil) {
        // A dry run tells of what would be done, or stands in the way.
        self.entries = policies == nil ? entries : entries.filter { $0.state != .applied }
        self.policies = policies ?? []
        isDryRun = policies != nil
    }

    package func text(for screen: Screen) -> String {
        guard !entries.isEmpty else { return isDryRun ? "Nothing to do: the schema is this program's.\n" : "" }
        var table = Table([.init("MIGRATION"), .init("STATE"), .init("APPLIED")])
        for entry in entries {
            table.add([.init(entry.label), state(entry), .init(entry.appliedAt?.clock ?? "-")])
        }
        var text = table.text(for: screen)
        guard !policies.isEmpty else { return text }
        text += "\nRow policies that would be replaced (jobworker.replaced_policies keeps them):\n"
        for policy in policies { text += "  \(policy.table): \(policy.policy): \(policy.definition)".oneLine + "\n" }
        return text
    }

    private func state(_ entry: Migrator.Entry) -> Table.Cell {
        switch entry.state {
        case .applied: .init("applied", .good)
        case .pending: .init("pending", .caution)
        case .changed: .init("changed", .bad)
        case .unknown: .init("unknown", .bad)
        }
    }

    package var json: JSON {
        let migrations = entries.map { entry in
            JSON.object([
                ("version", .integer(entry.version)), ("name", .string(entry.name)),
                ("state", .string(entry.state.rawValue)), ("applied_at", JSON(entry.appliedAt)),
            ])
        }
        var members: [(String, JSON)] = [("migrations", .array(migrations))]
        if isDryRun {
            let replaced = policies.map { policy in
                JSON.object([
                    ("table", .string(policy.table)), ("policy", .string(policy.policy)),
                    ("definition", .string(policy.definition)),
                ])
            }
            members.append(("replaced_policies", .array(replaced)))
        }
        return .object(members)
    }
}

extension Migrator.Entry {
    /// As the file is called.
    var label: String {
        let digits = String(version)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits + "_" + name
    }
}
