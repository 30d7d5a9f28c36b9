import ControlPlane
import FoundationEssentials
import HTTPTypes
import HummingbirdCore
import Postgres
import Terminal

/// One job: what it is, why it is where it is, and what can be done.
struct JobPage {
    let visit: Visit

    func response() async throws -> Response {
        let id = visit.parameter("id")
        let document = try await visit.get("/api/jobs/\(id)")
        let why = try await visit.get("/api/jobs/\(id)/why")
        let job = document["job"] ?? .null
        let status = Words.text(job["status"])
        let names = await visit.names(in: [job])
        let relations = try await relations(job)
        return visit.layout("/dashboard/jobs").page(
            "Job \(String(id.prefix(8)))", events: "/dashboard/events/\(id)",
            """
            <div data-part="head"><p class="head">\(Words.state(job["status"])) <strong>\(Words.text(job["job_type"]))</strong>
            <code id="job-id">\(Words.text(job["id"]))</code> <button type="button" data-copy="job-id" hidden>Copy id</button></p>
            \(progress(job))\(error(job))\(actions(status, id))</div>
            <section data-part="why" aria-labelledby="why"><h2 id="why">Why it is here</h2>\(reasons(why))</section>
            <section data-part="facts" aria-labelledby="facts"><h2 id="facts">Facts</h2>\(facts(job, names))</section>
            \(relations)
            \(value("Payload", job["payload"], job, "payload"))\(value("Result", job["result"], job, "result"))
            <section data-part="timeline" aria-labelledby="timeline"><h2 id="timeline">Timeline</h2>\(timeline(job, document["logs"]))</section>
            <section data-part="log" aria-labelledby="log"><h2 id="log">Log</h2>\(logs(document["logs"]))</section>
            \(replay(job, id))\(commands(id, status))
            """)
    }

    /// What it waits for and what waits for it, as a picture.
    private func relations(_ job: JSONNode) async throws -> HTML {
        guard let id = job["id"]?.string, let uuid = UUID(uuidString: id) else { return "" }
        // Most jobs have none: `dependents` and `blockers` say so, and nobody asks.
        guard job["dependents"] == .bool(true) || job["blockers"]?.whole != nil || job["workflow_id"]?.string != nil
        else { return "<div data-part=\"relations\"></div>" }
        let found = try await Relations.read(visit.parts.database, as: visit.session.caller, of: uuid)
        guard !found.relatives.isEmpty else { return "<div data-part=\"relations\"></div>" }
        let here = GraphView.Node(
            id: id, title: job["workflow_step"]?.string ?? Words.text(job["job_type"]),
            state: Words.text(job["status"]),
            percentage: Words.text(job["status"]) == "processing" ? job["progress"]?["percentage"]?.whole : nil,
            isHere: true)
        let graph = GraphView(
            title: "What it waits for, and what waits for it",
            nodes: found.relatives.filter(\.isParent).map(Self.node) + [here]
                + found.relatives.filter { !$0.isParent }.map(Self.node),
            edges: found.relatives.map { $0.isParent ? (from: $0.id.text, to: id) : (from: id, to: $0.id.text) })
        let lines = found.relatives.map { relative -> HTML in
            """
            <li>\(relative.isParent ? "waits for" : "is waited for by") <a href="/dashboard/jobs/\(relative.id.text)">\(relative.name ?? relative.type)</a> \(Words.state(.string(relative.status)))</li>
            """
        }
        let workflow: HTML =
            job["workflow_id"]?.string.map {
                "<p><a href=\"/dashboard/workflows/\(address: $0)\">The whole workflow</a></p>"
            } ?? ""
        return """
            <section data-part="relations" aria-labelledby="relations"><h2 id="relations">Dependencies</h2>\(graph.html)
            <details><summary>As a list</summary><ul>\(lines)</ul></details>\(workflow)</section>
            """
    }

    private static func node(_ relative: Relations.Relative) -> GraphView.Node {
        GraphView.Node(id: relative.id.text, title: relative.name ?? relative.type, state: relative.status)
    }

    /// What happened to it: its times, and the rows of its log that tell of attempts.
    private func timeline(_ job: JSONNode, _ logs: JSONNode?) -> HTML {
        var events: [(at: String, text: HTML, style: String)] = []
        func add(_ node: JSONNode?, _ text: HTML, _ style: String = "") {
            if let at = node?.string { events.append((at, text, style)) }
        }
        add(job["created_at"], "Added")
        var hasStart = false
        var hasEnd = false
        for row in logs?.elements ?? [] {
            // Rows of the worker's own; those of processors name no attempts left.
            guard row["metadata"]?["attempt"]?.isNull == false || row["metadata"]?["max_attempts"]?.isNull == false
            else {
                continue
            }
            let (message, level) = (Words.text(row["message"]), Words.text(row["log_level"]))
            if message.contains("started") { hasStart = true }
            if message.hasPrefix("Completed") || message.hasPrefix("Failed") { hasEnd = true }
            add(
                row["created_at"], "\(message)",
                message.hasPrefix("Completed") ? "good" : level == "info" || level == "debug" ? "" : "bad")
        }
        let attempts = Words.text(job["attempts"])
        if !hasStart { add(job["started_at"], "Attempt \(attempts) started", "busy") }
        if !hasEnd { add(job["completed_at"], Words.state(job["status"])) }
        let status = Words.text(job["status"])
        if status == "pending" {
            add(job["next_retry_at"], "Will be tried again")
            if job["next_retry_at"]?.string == nil { add(job["scheduled_for"], "Is to start") }
        }
        let sorted = events.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
        let items = sorted.map { entry -> HTML in
            "<li class=\"\(entry.element.style)\">\(Words.time(.string(entry.element.at))) <span>\(entry.element.text)</span></li>"
        }
        return "<ol class=\"timeline\">\(items)</ol>"
    }

    private func progress(_ job: JSONNode) -> HTML {
        guard Words.text(job["status"]) == "processing", let percentage = job["progress"]?["percentage"]?.whole else {
            return ""
        }
        return """
            <p><progress max="100" value="\(percentage)" aria-label="Progress">\(percentage) %</progress> \(percentage) %
            \(Words.text(job["progress"]?["message"]))</p>
            """
    }

    private func error(_ job: JSONNode) -> HTML {
        let message = Words.text(job["error_message"])
        guard !message.isEmpty else { return "" }
        let stack = Words.text(job["error_stack"])
        let causes: HTML = stack.isEmpty ? "" : "<details><summary>Causes</summary><pre>\(stack)</pre></details>"
        return "<div class=\"problem\"><p>\(message)</p>\(causes)</div>"
    }

    private func actions(_ status: String, _ id: String) -> HTML {
        var buttons: [HTML] = []
        func add(_ action: String, _ title: String, _ isDangerous: Bool = false) {
            buttons.append(visit.button("/dashboard/jobs/\(id)/\(action)", title, isDangerous: isDangerous))
        }
        if ["failed", "dead_letter", "cancelled", "pending"].contains(status) {
            add("retry", status == "pending" ? "Run now" : "Retry")
        }
        if ["pending", "blocked", "processing"].contains(status) { add("cancel", "Cancel", true) }
        if ["completed", "failed", "dead_letter", "cancelled"].contains(status) { add("delete", "Delete", true) }
        return "<div class=\"actions\">\(buttons) <a class=\"button\" href=\"#replay\">Replay…</a></div>"
    }

    private func reasons(_ why: JSONNode) -> HTML {
        let reasons = (why["reasons"]?.elements ?? []).map { "<li>\(Words.text($0["text"]))</li>" as HTML }
        return """
            <p>\(Words.text(why["summary"]))</p><ul>\(reasons)</ul><p class="note">\(Words.text(why["next"]?["text"]))</p>
            """
    }

    private func facts(_ job: JSONNode, _ names: [String: String]) -> HTML {
        var rows: [HTML] = []
        func add(_ title: String, _ shown: HTML) { rows.append("<div><dt>\(title)</dt><dd>\(shown)</dd></div>") }
        func add(_ title: String, text name: String) {
            let text = Words.text(job[name])
            if !text.isEmpty { add(title, "\(text)") }
        }
        func add(_ title: String, time name: String) {
            if job[name]?.string != nil { add(title, Words.time(job[name])) }
        }
        if job["workspace_id"]?.string != nil { add("Workspace", Visit.name(job["workspace_id"], names)) }
        let queue = Words.text(job["job_queue"])
        add("Queue", "<a href=\"/dashboard/jobs?job_queue=\(address: queue)\">\(queue)</a>")
        add("Priority", text: "priority")
        add("Attempts", "\(Words.text(job["attempts"])) of \(Words.text(job["max_attempts"]))")
        add("Added", time: "created_at")
        add("Scheduled for", time: "scheduled_for")
        add("Next try", time: "next_retry_at")
        add("Started", time: "started_at")
        add("Ended", time: "completed_at")
        add("Failed", time: "failed_at")
        add("Worker", text: "worker_id")
        add("Unique key", text: "unique_key")
        add("Time limit, seconds", text: "timeout_seconds")
        add("Heartbeat", time: "worker_heartbeat_at")
        if let workflow = job["workflow_id"]?.string {
            add(
                "Workflow",
                "<a href=\"/dashboard/workflows/\(address: workflow)\"><code>\(String(workflow.prefix(8)))</code></a>")
        }
        add("Step", text: "workflow_step")
        if job["schedule_id"]?.string != nil { add("Made by", "<a href=\"/dashboard/schedules\">a schedule</a>") }
        if job["replay_of"]?.string != nil { add("Replay of", Words.identifier(job["replay_of"])) }
        return "<dl class=\"facts\">\(rows)</dl>"
    }

    private func value(_ title: String, _ node: JSONNode?, _ job: JSONNode, _ name: String) -> HTML {
        if job["omitted"]?.elements?.contains(.string(name)) == true {
            return "<section><h2>\(title)</h2><p class=\"note\">Too large to show here.</p></section>"
        }
        guard let node, !node.isNull else { return "" }
        return """
            <section data-part="\(name)"><details open><summary><h2>\(title)</h2></summary>
            <button type="button" data-copy="value-\(name)" hidden>Copy</button><pre id="value-\(name)">\(JSON.indented(node.text))</pre></details></section>
            """
    }

    private func logs(_ node: JSONNode?) -> HTML {
        var table = TableView(
            caption: "Log of the job, oldest first", heads: ["Time", "Level", "Message"],
            empty: "<p>Nothing was logged yet.</p>")
        for row in node?.elements ?? [] {
            let level = Words.text(row["log_level"])
            table.rows.append(
                """
                <tr class="level-\(level)"><td>\(Words.time(row["created_at"]))</td><td>\(level)</td><td>\(Words.text(row["message"]))</td></tr>
                """)
        }
        return table.html
    }

    private func replay(_ job: JSONNode, _ id: String) -> HTML {
        """
        <section id="replay" aria-labelledby="replay-title"><h2 id="replay-title">Replay</h2>
        <p>Adds a new job like this one; this one stays as it is.</p>
        <form method="post" action="/dashboard/jobs/\(id)/replay">\(visit.formToken)
        <label for="payload">Payload, JSON</label>
        <textarea id="payload" name="payload" rows="8" spellcheck="false">\(JSON.indented((job["payload"] ?? .object([])).text))</textarea>
        <button class="main">Replay with this payload</button></form></section>
        """
    }

    private func commands(_ id: String, _ status: String) -> HTML {
        var lines = ["jobworker jobs show \(id)", "jobworker why \(id)"]
        if ["failed", "dead_letter", "cancelled"].contains(status) { lines.append("jobworker jobs retry \(id)") }
        if ["pending", "blocked", "processing"].contains(status) { lines.append("jobworker jobs cancel \(id)") }
        return """
            <section aria-labelledby="commands-title"><h2 id="commands-title">The same as commands</h2>
            <button type="button" data-copy="commands" hidden>Copy</button><pre id="commands">\(lines.joined(separator: "\n"))</pre></section>
            """
    }

    // MARK: Changing

    func change(_ form: Form) async throws -> Response {
        let id = visit.parameter("id")
        switch visit.request.parameters["action"] {
        case "retry": _ = try await visit.send(.post, "/api/jobs/\(id)/retry")
        case "cancel": _ = try await visit.send(.post, "/api/jobs/\(id)/cancel")
        case "delete":
            _ = try await visit.send(.delete, "/api/jobs/\(id)")
            return Layout.redirect("/dashboard/jobs")
        case "replay":
            guard let payload = JSONNode(parsing: Array((form["payload"] ?? "").utf8)) else {
                throw APIError(
                    .unprocessableContent, code: "invalid_body",
                    "The payload is not JSON. Go back: the browser still has what you wrote.")
            }
            let added = try await visit.send(.post, "/api/jobs/\(id)/replay", .object([.init("payload", payload)]))
            return Layout.redirect("/dashboard/jobs/\(Words.text(added["id"]).percentEncoded)")
        default: throw APIError.invalidParameter("action", "is not known")
        }
        return Layout.redirect("/dashboard/jobs/\(id)")
    }
}
