import FoundationEssentials
package import JobWorker
import Postgres
package import Terminal

/// Who did what: two lines for each entry, as values need room.
package struct AuditView: View {
    private let page: AuditPage

    package init(_ page: AuditPage) { self.page = page }

    package var json: JSON {
        .object([
            ("entries", .array(page.entries.map(\.json))), ("next_cursor", JSON(page.next.map(String.init))),
        ])
    }

    package func text(for screen: Screen) -> String { page.entries.map { entry($0, screen) }.joined() }

    private func entry(_ entry: AuditEntry, _ screen: Screen) -> String {
        let palette = screen.palette
        var line = "\(palette.paint(entry.createdAt.clock, .faint))  \(palette.paint(entry.action.oneLine, .strong))"
        line += "  \(entry.actor.oneLine) (\(entry.via.oneLine))"
        if let job = entry.jobID {
            line += "  job \(job.text)"
        } else if let subject = entry.subject {
            line += "  \(subject.oneLine)"
        }
        if let reason = entry.reason { line += "  \(palette.paint("“\(reason.oneLine)”", .faint))" }
        let changes = changes(entry)
        return "\(line)\n" + (changes.isEmpty ? "" : changes.wrapped(to: screen.width, behind: "    ") + "\n")
    }

    /// `status: pending → cancelled, completed_at: 2026-…`
    private func changes(_ entry: AuditEntry) -> String {
        let before = Self.members(entry.before), after = Self.members(entry.after)
        if entry.after == nil, entry.before != nil { return "was " + listed(before) }
        if entry.before == nil { return listed(after) }
        return after.sorted { $0.key < $1.key }.map { name, value in
            "\(name): \(before[name] ?? "-") → \(value)".oneLine
        }.joined(separator: ", ")
    }

    private func listed(_ members: [String: String]) -> String {
        members.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)".oneLine }.joined(separator: ", ")
    }

    /// The members of an object, each value in words.
    private static func members(_ object: JSONText?) -> [String: String] {
        guard let object, let values = JSONMembers.split(object.text) else { return [:] }
        return values.mapValues { text in
            text == "null" ? "-" : (try? JSONText(text).decode(String.self)) ?? text
        }
    }
}

extension AuditEntry {
    /// With the names of the table's columns.
    var json: JSON {
        .object([
            ("id", .integer(id)), ("created_at", JSON(createdAt)), ("workspace_id", JSON(workspaceID?.text)),
            ("job_id", JSON(jobID?.text)), ("actor", .string(actor)), ("via", .string(via)),
            ("action", .string(action)), ("subject", JSON(subject)), ("reason", JSON(reason)),
            ("before", before.map { .raw($0.text) } ?? .null), ("after", after.map { .raw($0.text) } ?? .null),
            ("details", .raw(details.text)),
        ])
    }
}
