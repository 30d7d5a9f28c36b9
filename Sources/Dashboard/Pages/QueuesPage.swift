import ControlPlane
import HTTPTypes
import HummingbirdCore

/// Queues: what waits and runs, and what holds for them; limits on types and workspaces.
struct QueuesPage {
    let visit: Visit

    func response() async throws -> Response {
        guard visit.isOperator else { throw APIError.operatorsOnly }
        let figures = try await visit.figures()
        let rules = try await visit.queueRules()
        let limits = try await visit.get("/api/limits")["limits"]?.elements ?? []
        let known = Dictionary(rules.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var table = TableView(
            caption: "Queues by name",
            heads: ["Queue", "Waiting", "Due", "Oldest due", "Running", "Rules", "State", "Change"],
            empty:
                "<p>No queue holds a job, and none is set up. A job without a queue of its own goes to <code>default</code>.</p>"
        )
        for name in Set(figures.queues.keys).union(known.keys).sorted().prefix(1000) {
            table.rows.append(row(name, figures.queues[name] ?? .init(), known[name] ?? QueueRule(name: name)))
        }
        return visit.layout("/dashboard/queues").page(
            "Queues", events: "/dashboard/events", every: 10,
            """
            <div data-part="queues">\(table.html)</div>
            <section aria-labelledby="rules-title"><h2 id="rules-title">Set what holds for a queue</h2>\(try rulesForm(known))</section>
            <section aria-labelledby="limits-title"><h2 id="limits-title">Limits on types and workspaces</h2>
            <div data-part="limits">\(await limitsTable(limits))</div>\(limitForm)</section>
            """)
    }

    private func row(_ name: String, _ figures: OverviewFigures.Queue, _ rule: QueueRule) -> HTML {
        var words: [String] = []
        if rule.weight != 1 { words.append("weight \(rule.weight)") }
        if let seconds = rule.ageing { words.append("a step of priority for each \(Words.seconds(Double(seconds)))") }
        if rule.isFair { words.append("workspaces take turns") }
        if rule.keepsDeadLetters { words.append("sets aside what used up its attempts") }
        let isPaused = rule.pausedAt != nil
        let state: HTML =
            isPaused
            ? "\(Words.state(.string("paused"))) \(rule.pausedBy.map { "by \($0)" } ?? "") \(Words.time(rule.pausedAt))"
            : "open"
        let most: HTML = rule.maxRunning.map { " of \($0)" } ?? ""
        // An address can't name a queue with a slash.
        let actions: HTML =
            name.contains("/")
            ? "<code>jobworker queues \(isPaused ? "resume" : "pause") '\(name)'</code>"
            : """
            <div class="actions">\(visit.button("/dashboard/queues/\(name.percentEncoded)/\(isPaused ? "resume" : "pause")", isPaused ? "Resume" : "Pause"))
            <a class="button" href="/dashboard/queues?queue=\(address: name)#rules-title">Rules…</a></div>
            """
        return """
            <tr><td><a href="/dashboard/jobs?job_queue=\(address: name)">\(name)</a></td><td class="number">\(Words.count(figures.waiting))</td>
            <td class="number">\(Words.count(figures.due))</td><td>\(figures.oldestDue.map { Words.seconds($0) } ?? "—")</td>
            <td>\(figures.running)\(most)</td><td class="error">\(words.joined(separator: ", "))</td><td>\(state)</td>
            <td>\(actions)</td></tr>
            """
    }

    private func rulesForm(_ known: [String: QueueRule]) throws -> HTML {
        let name = try visit.query("queue")
        guard !name.isEmpty else { return "<p class=\"note\">“Rules…” beside a queue opens them.</p>" }
        let rule = known[name] ?? QueueRule(name: name)
        func box(_ field: String, _ title: String, _ isSet: Bool) -> HTML {
            "<label><input type=\"checkbox\" name=\"\(field)\" value=\"yes\"\(isSet ? " checked" : HTML.nothing)> \(title)</label>"
        }
        return """
            <form method="post" action="/dashboard/queues/\(address: name)/set" class="fields">\(visit.formToken)
            <p>Queue <strong>\(name)</strong></p>
            <label>Most at once, over all workers <input name="max_running" type="number" min="0" max="100000" value="\(rule.maxRunning.map(String.init) ?? "")" placeholder="no limit"></label>
            <label>Weight beside other queues <input name="weight" type="number" min="1" max="1000" value="\(rule.weight)" required></label>
            <label>So many seconds of waiting are worth a step of priority <input name="ageing_seconds" type="number" min="1" max="31536000" value="\(rule.ageing.map(String.init) ?? "")" placeholder="never"></label>
            \(box("fair", "Workspaces take turns", rule.isFair))\(box("dead_letter", "What used up its attempts is set aside", rule.keepsDeadLetters))
            <p><button class="main">Set</button> <a href="/dashboard/queues">Leave it</a></p></form>
            """
    }

    private func limitsTable(_ limits: [JSONNode]) async -> HTML {
        var table = TableView(
            caption: "Limits by name", heads: ["Limit", "Type", "Workspace", "At once", "Starts", "Running", "Change"],
            empty: "<p>Nothing limits types or workspaces.</p>")
        let names = await visit.names(in: limits)
        for limit in limits {
            let name = Words.text(limit["name"])
            let rate =
                limit["rate"]?.whole.map {
                    "\($0) in \(Words.seconds(Double(limit["period_seconds"]?.whole ?? 60)))"
                } ?? "—"
            let workspace: HTML =
                limit["each_workspace"] == .bool(true) ? "each by itself" : Visit.name(limit["workspace_id"], names)
            table.rows.append(
                """
                <tr><td>\(name)</td><td>\(limit["job_type"]?.string ?? "any")</td><td>\(workspace)</td>
                <td>\(limit["max_running"]?.whole.map { String($0) } ?? "—")</td><td>\(rate)</td><td>\(Words.text(limit["running"]))</td>
                <td><form method="post" action="/dashboard/limits/remove">\(visit.formToken)<input type="hidden" name="name" value="\(name)"><button class="danger" data-confirm="Remove the limit \(name)?">Remove</button></form></td></tr>
                """)
        }
        return table.html
    }

    private var limitForm: HTML {
        """
        <details><summary>Add a limit</summary><form method="post" action="/dashboard/limits/set" class="fields">\(visit.formToken)
        <label>Name <input name="name" required maxlength="100"></label><label>Job type <input name="job_type" maxlength="100" placeholder="any"></label>
        <label>Most at once <input name="max_running" type="number" min="0" max="100000"></label>
        <label>Starts <input name="rate" type="number" min="1" max="1000000"></label>
        <label>… in so many seconds <input name="period_seconds" type="number" min="1" max="86400" value="60"></label>
        <label><input type="checkbox" name="each_workspace" value="yes"> Counted for each workspace by itself</label>
        <p><button class="main">Add</button></p></form></details>
        """
    }

    // MARK: Changing

    private static func number(_ form: Form, _ name: String) throws -> JSONNode {
        let text = (form[name] ?? "").trimmingBlanks
        guard !text.isEmpty else { return .null }
        guard let value = Int(text) else { throw APIError.invalidParameter(name, "must be a whole number") }
        return .number(String(value))
    }

    func changeQueue(_ form: Form) async throws -> Response {
        let path = "/api/queues/\(visit.parameter("name"))"
        switch visit.request.parameters["action"] {
        case "pause": _ = try await visit.send(.post, path + "/pause")
        case "resume": _ = try await visit.send(.post, path + "/resume")
        case "set":
            var members: [JSONNode.Member] = [
                .init("max_running", try Self.number(form, "max_running")),
                .init("ageing_seconds", try Self.number(form, "ageing_seconds")),
                .init("fair", .bool(form["fair"] == "yes")), .init("dead_letter", .bool(form["dead_letter"] == "yes")),
            ]
            let weight = try Self.number(form, "weight")
            if !weight.isNull { members.append(.init("weight", weight)) }
            _ = try await visit.send(.put, path, .object(members))
        default: throw APIError.invalidParameter("action", "is not known")
        }
        return Layout.redirect("/dashboard/queues")
    }

    func changeLimit(_ form: Form) async throws -> Response {
        let path = "/api/limits/\((form["name"] ?? "").trimmingBlanks.percentEncoded)"
        switch visit.request.parameters["action"] {
        case "remove": _ = try await visit.send(.delete, path)
        case "set":
            var members: [JSONNode.Member] = [.init("each_workspace", .bool(form["each_workspace"] == "yes"))]
            if let type = form["job_type"]?.trimmingBlanks, !type.isEmpty {
                members.append(.init("job_type", .string(type)))
            }
            members.append(.init("max_running", try Self.number(form, "max_running")))
            let rate = try Self.number(form, "rate")
            if !rate.isNull {
                members.append(.init("rate", rate))
                members.append(.init("period_seconds", try Self.number(form, "period_seconds")))
            }
            _ = try await visit.send(.put, path, .object(members))
        default: throw APIError.invalidParameter("action", "is not known")
        }
        return Layout.redirect("/dashboard/queues")
    }
}
