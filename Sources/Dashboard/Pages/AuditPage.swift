import ControlPlane
import HTTPTypes
import HummingbirdCore
import Postgres

/// Who did what.
struct AuditPage {
    let visit: Visit

    private static let auditFilters = ["workspace_id", "actor", "action", "via", "job_id", "since", "until"]

    func response() async throws -> Response {
        let query = try visit.query(of: Self.auditFilters)
        let document = try await visit.get(
            "/api/audit", [query, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        let entries = document["entries"]?.elements ?? []
        let names = await visit.names(in: entries)
        var table = TableView(
            caption: "Changes by people, the latest first",
            heads: ["When", "Who", "How", "What", "Of", "Workspace", "Job", "Change", "Reason"],
            empty: query.isEmpty
                ? "<p>Nobody has changed anything yet.</p>"
                : "<p>Nothing fits. <a href=\"/dashboard/audit\">Show all</a></p>")
        for entry in entries {
            table.rows.append(
                """
                <tr><td>\(Words.time(entry["created_at"]))</td><td>\(Words.text(entry["actor"]))</td><td>\(Words.text(entry["via"]))</td>
                <td>\(Words.text(entry["action"]))</td><td>\(Words.text(entry["subject"]))</td><td>\(Visit.name(entry["workspace_id"], names))</td>
                <td>\(Words.identifier(entry["job_id"]))</td><td class="error">\(Self.difference(entry["before"], entry["after"]))</td><td class="error">\(Words.text(entry["reason"]))</td></tr>
                """)
        }
        return visit.layout("/dashboard/audit").page(
            "Audit", "\(try auditForm)\(table.html)\(visit.older("/dashboard/audit", query, document))")
    }

    private var auditForm: HTML {
        get throws {
            func field(_ name: String, _ title: String, _ hint: String) throws -> HTML {
                "<label>\(title) <input name=\"\(name)\" value=\"\(try visit.query(name))\" placeholder=\"\(hint)\"></label> "
            }
            let chosen = try visit.query("via")
            let ways = ["api", "cli", "dashboard", "sql", "worker"].map {
                "<option\($0 == chosen ? " selected" : HTML.nothing)>\($0)</option>" as HTML
            }
            let workspace: HTML =
                visit.workspace.map { "<input type=\"hidden\" name=\"workspace_id\" value=\"\($0.id.text)\">" } ?? ""
            return """
                <form class="filters" action="/dashboard/audit">\(workspace)\(try field("actor", "Who", "operator:name"))\(try field("action", "What", "job.cancel"))
                <label>How <select name="via"><option value="">any</option>\(ways)</select></label>\(try field("job_id", "Job", "id"))
                \(try field("since", "Since", "2026-01-31T08:00:00Z"))\(try field("until", "Before", "2026-02-01T00:00:00Z"))
                <button>Filter</button> <a href="/dashboard/audit">Clear</a></form>
                """
        }
    }

    /// Fields that changed, from what to what.
    private static func difference(_ before: JSONNode?, _ after: JSONNode?) -> String {
        var names: [String] = []
        for case .object(let members)? in [before, after] {
            for member in members where !names.contains(member.name) { names.append(member.name) }
        }
        return names.prefix(6).map { name in
            let (old, new) = (Words.text(before?[name]), Words.text(after?[name]))
            return
                "\(name): \(old.isEmpty ? "–" : String(old.prefix(60))) → \(new.isEmpty ? "–" : String(new.prefix(60)))"
        }.joined(separator: "; ")
    }
}
