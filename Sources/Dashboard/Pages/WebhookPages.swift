import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres

/// Where events of jobs are sent, and what became of them.
struct WebhookPages {
    let visit: Visit

    func list() async throws -> Response {
        let document = try await visit.get(
            "/api/webhooks", [visit.workspaceQuery, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        let endpoints = document["webhooks"]?.elements ?? []
        let names = await visit.names(in: endpoints)
        var table = TableView(
            caption: "Endpoints, newest first",
            heads: ["URL", "Workspace", "Events", "Types", "State", "Added", "Change"],
            empty: "<p>Nothing is sent anywhere yet.</p>")
        for endpoint in endpoints {
            let id = Words.text(endpoint["id"])
            table.rows.append(
                """
                <tr><td class="error"><a href="/dashboard/webhooks/\(address: id)">\(Words.text(endpoint["url"]))</a></td><td>\(Visit.name(endpoint["workspace_id"], names))</td>
                <td class="error">\(Self.list(endpoint["events"]))</td><td class="error">\(Self.list(endpoint["job_types"]))</td><td>\(Self.state(endpoint))</td>
                <td>\(Words.time(endpoint["created_at"]))</td><td><div class="actions">\(buttons(endpoint, id))</div></td></tr>
                """)
        }
        return visit.layout("/dashboard/webhooks").page(
            "Webhooks", every: 10,
            """
            <div data-part="webhooks">\(table.html)</div>\(visit.older("/dashboard/webhooks", visit.workspaceQuery, document))
            <section aria-labelledby="add-title"><h2 id="add-title">Add an endpoint</h2>\(addForm)</section>
            """)
    }

    func show() async throws -> Response {
        let id = visit.parameter("id")
        let endpoint = try await visit.get("/api/webhooks/\(id)")
        let status = try visit.query("status")
        let query = status.isEmpty ? "" : "status=\(status.percentEncoded)"
        let document = try await visit.get(
            "/api/webhooks/\(id)/deliveries", [query, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        var table = TableView(
            caption: "Deliveries, newest first",
            heads: ["Delivery", "Event", "Job", "State", "Tries", "Answer", "Next try", "Added", "Change"],
            empty: "<p>Nothing was sent to it yet. “Test” sends an event of the type <code>test</code>.</p>")
        for delivery in document["deliveries"]?.elements ?? [] {
            let own = Words.text(delivery["id"])
            let redeliver: HTML =
                Words.text(delivery["status"]) == "pending"
                ? "" : visit.button("/dashboard/webhooks/\(id)/redeliver?delivery=\(own)", "Redeliver")
            table.rows.append(
                """
                <tr><td><code title="\(own)">\(String(own.prefix(8)))</code></td><td>\(Words.text(delivery["event"]))</td><td>\(Words.identifier(delivery["job_id"]))</td>
                <td>\(Words.state(delivery["status"]))</td><td>\(Words.text(delivery["attempts"]))</td>
                <td class="error">\(Words.text(delivery["response_status"])) \(Words.text(delivery["error"]))</td><td>\(Words.time(delivery["next_attempt_at"]))</td>
                <td>\(Words.time(delivery["created_at"]))</td><td>\(redeliver)</td></tr>
                """)
        }
        let names = await visit.names(in: [endpoint])
        let options = ["pending", "delivered", "failed"].map {
            "<option\($0 == status ? " selected" : HTML.nothing)>\($0)</option>" as HTML
        }
        let why = Words.text(endpoint["disabled_reason"])
        return visit.layout("/dashboard/webhooks").page(
            "Webhook", every: 5,
            """
            <div data-part="head"><p class="head">\(Self.state(endpoint)) <strong>\(Words.text(endpoint["url"]))</strong> of \(Visit.name(endpoint["workspace_id"], names))</p>
            \(why.isEmpty ? HTML.nothing : "<p class=\"problem\">\(why)</p>")
            <dl class="facts"><div><dt>Events</dt><dd>\(Self.list(endpoint["events"]))</dd></div><div><dt>Job types</dt><dd>\(Self.list(endpoint["job_types"]))</dd></div>
            <div><dt>Tries that failed in a row</dt><dd>\(Words.text(endpoint["consecutive_failures"]))</dd></div></dl>
            <div class="actions">\(buttons(endpoint, id))\(visit.button("/dashboard/webhooks/\(id)/remove", "Remove", isDangerous: true))</div></div>
            <form class="filters" action="/dashboard/webhooks/\(id)"><label>State <select name="status"><option value="">any</option>\(options)</select></label> <button>Filter</button></form>
            <div data-part="deliveries">\(table.html)</div>\(visit.older("/dashboard/webhooks/\(id)", query, document))
            """)
    }

    private static func list(_ node: JSONNode?) -> String {
        node?.elements.map { $0.map { Words.text($0) }.joined(separator: ", ") } ?? "all"
    }

    private static func state(_ endpoint: JSONNode) -> HTML {
        guard endpoint["enabled"] == .bool(true) else { return Words.state("disabled") }
        let failures = endpoint["consecutive_failures"]?.whole ?? 0
        return failures == 0
            ? Words.state("enabled")
            : "\(Words.state("enabled")) <span class=\"note\">\(failures) tries failed in a row</span>"
    }

    private func buttons(_ endpoint: JSONNode, _ id: String) -> HTML {
        endpoint["enabled"] == .bool(true)
            ? visit.button("/dashboard/webhooks/\(id)/test", "Test")
                + visit.button("/dashboard/webhooks/\(id)/disable", "Disable")
            : visit.button("/dashboard/webhooks/\(id)/enable", "Enable")
    }

    private var addForm: HTML {
        let options = visit.workspaces.map {
            "<option value=\"\($0.id.text)\"\($0 == visit.workspace ? " selected" : HTML.nothing)>\($0.name)</option>"
                as HTML
        }
        let events = WebhookEvent.allCases.map {
            "<label><input type=\"checkbox\" name=\"event\" value=\"\($0.rawValue)\"> \($0.rawValue)</label>" as HTML
        }
        return """
            <form method="post" action="/dashboard/webhooks" class="fields">\(visit.formToken)
            <label>Workspace <select name="workspace" required>\(options)</select></label>
            <label>URL <input name="url" type="url" required maxlength="2000" placeholder="https://"></label>
            <fieldset><legend>Events; none chosen means all</legend>\(events)</fieldset>
            <p><button class="main">Add</button></p></form>
            """
    }

    // MARK: Changing

    func add(_ form: Form) async throws -> Response {
        var members: [JSONNode.Member] = [
            .init("workspace_id", .string(form["workspace"] ?? "")),
            .init("url", .string((form["url"] ?? "").trimmingBlanks)),
        ]
        let events = form.all("event")
        if !events.isEmpty { members.append(.init("events", .array(events.map { .string($0) }))) }
        let endpoint = try await visit.send(.post, "/api/webhooks", .object(members))
        return visit.layout("/dashboard/webhooks").page(
            "Webhook added",
            """
            <p role="status" class="verdict">Messages to \(Words.text(endpoint["url"])) are signed with this secret. It is shown once: keep it now.</p>
            <p><button type="button" data-copy="secret" hidden>Copy</button></p><pre id="secret">\(Words.text(endpoint["secret"]))</pre>
            <p><a href="/dashboard/webhooks/\(address: Words.text(endpoint["id"]))">To the endpoint</a></p>
            """)
    }

    func change(_ form: Form) async throws -> Response {
        let id = visit.parameter("id")
        let path = "/api/webhooks/\(id)"
        switch visit.request.parameters["action"] {
        case "test": _ = try await visit.send(.post, path + "/test")
        case "enable": _ = try await visit.send(.patch, path, ["enabled": true])
        case "disable": _ = try await visit.send(.patch, path, ["enabled": false])
        case "redeliver":
            _ = try await visit.send(
                .post, path + "/deliveries/\(try visit.query("delivery").percentEncoded)/redeliver")
        case "remove":
            _ = try await visit.send(.delete, path)
            return Layout.redirect("/dashboard/webhooks")
        default: throw APIError.invalidParameter("action", "is not known")
        }
        return Layout.redirect("/dashboard/webhooks/\(id)")
    }
}
