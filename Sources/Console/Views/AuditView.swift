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
        let start = [entry.createdAt.clock, entry.action.oneLine, "\(entry.actor.oneLine) (\(entry.via.oneLine))"]
        var line = "\(palette.paint(start[0], .faint))  \(palette.paint(start[1], .strong))  \(start[2])"
        var about: [String] = []
        if let job = entry.jobID {
            about.append("job \(job.text)")
        } else if let subject = entry.subject {
            about.append(subject.oneLine)
        }
        if let reason = entry.reason { about.append("“\(reason.oneLine)”") }
        let subject = about.joined(separator: "  ")
        let width = start.map(\.displayWidth).reduce(4, +) + 2 + subject.displayWidth
        if subject.isEmpty {
            line += "\n"
        } else if screen.width.map({ width <= $0 }) ?? true {
            line += "  \(subject)\n"
        } else {
            line += "\n\(subject.wrapped(to: screen.width, behind: "    "))\n"
        }
        let changes = changes(entry)
        return line + (changes.isEmpty ? "" : changes.wrapped(to: screen.width, behind: "    ") + "\n")
    }

    /// What the first line says already, what nobody asks for, and what is left out anyway.
    private static let dull: Set<String> = [
        "id", "created_at", "workspace_id", "inserted_by", "written_by", "worker_deaths", "takes_turns", "dependents",
        "progress", "secret_encrypted",
    ]

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
        members.filter { !Self.dull.contains($0.key) && $0.value != "(left out)" }.sorted { $0.key < $1.key }.map {
            "\($0.key): \($0.value)".oneLine
        }.joined(separator: ", ")
    }

    /// The members of an object, each value in words.
    private static func members(_ object: JSONText?) -> [String: String] {
        guard let object, let values = JSONMembers.split(object.text) else { return [:] }
        return values.mapValues { text in
            guard text != "null" else { return "-" }
            guard let string = try? JSONText(text).decode(String.self) else { return text }
            // A moment as it stands elsewhere, not to the microsecond.
            let isMoment = string.count > 19 && string.dropFirst(10).first == "T" && string.first?.isNumber == true
            return isMoment ? Timestamp(text: string)?.clock ?? string : string
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
