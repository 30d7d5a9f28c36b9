import ControlPlane
import HTTPTypes
import HummingbirdCore
import Postgres

/// How the worker that serves the page is, and what is set.
struct ThisWorkerPages {
    let visit: Visit

    func health() async throws -> Response {
        let report = try await visit.get("/api/jobs/worker")
        guard case .object(let members) = report else {
            throw APIError(.notFound, code: "not_found", "There is nothing here.")
        }
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
