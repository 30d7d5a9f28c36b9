import ControlPlane
import HTTPTypes
import HummingbirdCore
import Postgres

/// Who works, who did what, how this worker is and what is set.
struct RecordPages {
    let visit: Visit

    func workers() async throws -> Response {
        let document = try await visit.get("/api/workers")
        var table = TableView(
            caption: "Workers of the last day, the living first",
            heads: ["Worker", "State", "Instance", "Host", "Version", "Running", "Queues", "Types", "Started", "Seen"],
            empty: """
                <p>No worker was seen in the last day. Start one with <code>jobworker run</code>, or with
                <code>systemctl start jobworker</code>.</p>
                """)
        for worker in document["workers"]?.elements ?? [] {
            func list(_ name: String) -> String {
                (worker[name]?.elements ?? []).map { Words.text($0) }.joined(separator: ", ")
            }
            let (running, most) = (worker["running"]?.whole ?? 0, worker["max_concurrent"]?.whole ?? 0)
            table.rows.append(
                """
                <tr><td><code>\(Words.text(worker["id"]))</code></td><td>\(Words.state(worker["state"]))</td><td>\(Words.text(worker["instance"]))</td>
                <td>\(Words.text(worker["host"])) · \(Words.text(worker["pid"]))</td><td>\(Words.text(worker["version"]))</td>
                <td>\(most > 0 ? "<meter max=\"\(most)\" value=\"\(running)\" aria-label=\"Slots in use\">\(running)</meter> " : HTML.nothing)\(running) of \(most)</td>
                <td>\(list("queues"))</td><td class="error">\(list("job_types"))</td><td>\(Words.time(worker["started_at"]))</td><td>\(Words.time(worker["seen_at"]))</td></tr>
                """)
        }
        return visit.layout("/dashboard/workers").page(
            "Workers", every: 10, "<div data-part=\"workers\">\(table.html)</div>")
    }

    // MARK: Audit

    private static let auditFilters = ["workspace_id", "actor", "action", "via", "job_id", "since", "until"]

    func audit() async throws -> Response {
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

    // MARK: This worker

    func health() async throws -> Response {
        let report = try await visit.get("/api/jobs/worker")
        guard case .object(let members) = report else { throw APIError.missingPage }
        let reasons = (report["reasons"]?.elements ?? []).map {
            "<li class=\"alert severe\">\(Words.text($0))</li>" as HTML
        }
        var rows: [HTML] = []
        func add(_ name: String, _ value: JSONNode) {
            let title = name.replacing("_", with: " ")
            switch value {
            case .object(let inner): for member in inner { add("\(name) \(member.name)", member.value) }
            case .array(let elements):
                rows.append(
                    "<div><dt>\(title)</dt><dd>\(elements.map { Words.text($0) }.joined(separator: ", "))</dd></div>")
            case .string(let text) where name.hasSuffix("_at") || name == "timestamp":
                rows.append("<div><dt>\(title)</dt><dd>\(Words.time(.string(text)))</dd></div>")
            default: rows.append("<div><dt>\(title)</dt><dd>\(Words.text(value))</dd></div>")
            }
        }
        for member in members where member.name != "status" && member.name != "reasons" {
            add(member.name, member.value)
        }
        return visit.layout("/dashboard/health").page(
            "Health", every: 10,
            """
            <div data-part="health"><p class="verdict">\(Words.state(report["status"]))</p><ul class="alerts">\(reasons)</ul>
            <dl class="facts">\(rows)</dl></div>
            <p class="note">Of the worker that serves this page. Others: <a href="/dashboard/workers">Workers</a>. What is wrong with a
            set-up, and what to do, tells <code>jobworker doctor</code>.</p>
            """)
    }

    func settings() async throws -> Response {
        guard visit.isOperator else { throw APIError.operatorsOnly }
        var table = TableView(
            caption: "Settings of the worker that serves this page; secrets are never shown",
            heads: ["Setting", "Value", "From", "Meaning"], empty: "<p>This worker was started without settings.</p>")
        for setting in await visit.parts.settings() {
            table.rows.append(
                """
                <tr\(setting.isDefault ? " class=\"faint\"" : HTML.nothing)><td><code>\(setting.name)</code></td><td class="error"><code>\(setting.value)</code></td>
                <td>\(setting.origin)</td><td class="error">\(setting.help)</td></tr>
                """)
        }
        return visit.layout("/dashboard/settings").page("Settings", table.html)
    }
}

extension APIError {
    static let missingPage = APIError(.notFound, code: "not_found", "There is nothing here.")
}
