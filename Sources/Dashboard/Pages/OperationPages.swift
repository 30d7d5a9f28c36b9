import ControlPlane
import HTTPTypes
import HummingbirdCore

/// Changes of many jobs that workers carry out bit by bit.
struct OperationPages {
    let visit: Visit

    static func title(_ action: String) -> String {
        ["retry": "Retry", "replay": "Replay", "discard": "Discard", "dead_letter": "Set aside"][action] ?? action
    }

    func list() async throws -> Response {
        let operations = try await visit.get("/api/operations", "limit=50")["operations"]?.elements ?? []
        let names = await visit.names(in: operations)
        var table = TableView(
            caption: "Operations on many jobs, the latest first; they are kept for a week after their end",
            heads: ["Operation", "What", "State", "Progress", "Changed", "Passed over", "Workspace", "Begun"],
            empty: "<p>There are none. They begin at <a href=\"/dashboard/dead-letters\">Dead letters</a>.</p>")
        for operation in operations {
            let id = Words.text(operation["id"])
            table.rows.append(
                """
                <tr><td><a href="/dashboard/operations/\(address: id)" title="\(id)"><code>\(String(id.prefix(8)))</code></a></td>
                <td>\(Self.title(Words.text(operation["action"])))</td><td>\(Words.state(operation["state"]))</td><td>\(Self.progress(operation))</td>
                <td class="number">\(Words.text(operation["changed"]))</td><td class="number">\(Words.text(operation["skipped"]))</td>
                <td>\(operation["workspace_id"]?.string == nil ? "several" : Visit.name(operation["workspace_id"], names))</td><td>\(Words.time(operation["created_at"]))</td></tr>
                """)
        }
        let isBusy = operations.contains { Words.text($0["state"]) == "running" }
        return visit.layout("/dashboard/operations").page(
            "Operations", every: isBusy ? 2 : 10, "<div data-part=\"operations\">\(table.html)</div>")
    }

    func show() async throws -> Response {
        let id = visit.parameter("id")
        let operation = try await visit.get("/api/operations/\(id)")
        let state = Words.text(operation["state"])
        var buttons: [HTML] = []
        func add(_ action: String, _ title: String, _ isDangerous: Bool = false) {
            buttons.append(visit.button("/dashboard/operations/\(id)/\(action)", title, isDangerous: isDangerous))
        }
        if state == "running" { add("pause", "Pause") }
        if ["paused", "stopped"].contains(state) { add("resume", "Resume") }
        if ["running", "paused", "stopped"].contains(state) { add("abort", "Abort", true) }
        let facts = ["total", "taken", "changed", "skipped", "succeeded", "failed", "rate", "canary", "stop_on_errors"]
            .map {
                "<div><dt>\($0.replacing("_", with: " "))</dt><dd>\(operation[$0]?.isNull == false ? Words.text(operation[$0]) : "—")</dd></div>"
                    as HTML
            }
        let reason = Words.text(operation["state_reason"])
        let isOver = ["done", "aborted"].contains(state)
        return visit.layout("/dashboard/operations").page(
            "\(Self.title(Words.text(operation["action"]))) \(Words.text(operation["total"])) jobs",
            every: isOver ? 10 : 1,
            """
            <div data-part="operation"><p class="head">\(Words.state(operation["state"])) \(Self.progress(operation)) begun \(Words.time(operation["created_at"]))</p>
            \(reason.isEmpty ? HTML.nothing : "<p class=\"problem\">\(reason)</p>")<div class="actions">\(buttons)</div><dl class="facts">\(facts)</dl></div>
            <p class="note">The same as commands: <code>jobworker dlq operations</code></p>
            """)
    }

    private static func progress(_ operation: JSONNode) -> HTML {
        let (total, taken) = (operation["total"]?.whole ?? 0, operation["taken"]?.whole ?? 0)
        return
            "<progress max=\"\(max(total, 1))\" value=\"\(taken)\" aria-label=\"Jobs taken\">\(taken)</progress> \(taken) of \(total)"
    }

    func change() async throws -> Response {
        guard let action = visit.request.parameters["action"], ["pause", "resume", "abort"].contains(action) else {
            throw APIError.invalidParameter("action", "is not known")
        }
        let id = visit.parameter("id")
        _ = try await visit.send(.post, "/api/operations/\(id)/\(action)")
        return Layout.redirect("/dashboard/operations/\(id)")
    }
}
