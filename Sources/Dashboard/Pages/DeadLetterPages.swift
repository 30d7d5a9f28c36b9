import ControlPlane
import HTTPTypes
import HummingbirdCore
import JobWorker
import Postgres
import Terminal

/// Failed jobs by their error, and what can be done about all of a group.
struct DeadLetterPages {
    let visit: Visit

    func groups() async throws -> Response {
        let (database, caller, scope) = (visit.parts.database, visit.session.caller, visit.scope)
        let groups = try await visit.parts.groups.value(of: .init(viewer: Viewer(caller), scope: scope)) {
            try await NewestErrorGroups.read(database, as: caller, scope)
        }
        var table = TableView(
            caption: "Failed jobs by type and error, the largest group first",
            heads: ["Error", "Type", "Jobs", "Set aside", "Workspaces", "First", "Last", "Example"],
            empty: "<p>Nothing failed: there is nothing to do here.</p>")
        for group in groups {
            let query = ["status=failed,dead_letter", "job_type=\(group.jobType.percentEncoded)", visit.workspaceQuery]
                .joinedQuery
            let link = group.id.map { id in
                "/dashboard/dead-letters/\(id)\(visit.workspaceQuery.isEmpty ? "" : "?" + visit.workspaceQuery)"
            }
            table.rows.append(
                """
                <tr><td class="error"><a href="\(link ?? "/dashboard/jobs?" + query)">\(group.pattern.isEmpty ? "(no message)" : String(group.pattern.prefix(300)))</a></td><td>\(group.jobType)</td>
                <td class="number">\(Words.grouped(group.count))</td><td class="number">\(Words.grouped(group.deadLetters))</td><td class="number">\(group.workspaces)</td><td>\(Words.time(group.firstFailedAt))</td>
                <td>\(Words.time(group.lastFailedAt))</td><td>\(Words.identifier(.string(group.exampleID.text)))</td></tr>
                """)
        }
        let isSample = groups.reduce(0) { $0 + $1.count } >= NewestErrorGroups.sampleMax
        let note: HTML =
            isSample
            ? "<p class=\"note\">≈ Counted among the newest \(Words.grouped(NewestErrorGroups.sampleMax)) failed jobs, and as many set aside.</p>"
            : ""
        return visit.layout("/dashboard/dead-letters").page(
            "Dead letters", events: "/dashboard/events?\(visit.workspaceQuery)",
            """
            <div data-part="groups">\(table.html)\(note)</div>
            <p class="note">Numbers, ids, hosts and what stands in quotes count as the same in an error. What is under way: <a href="/dashboard/operations">Operations</a>.</p>
            """)
    }

    func group() async throws -> Response {
        let group = visit.request.parameters["group"] ?? ""
        let query = ["group=\(group.percentEncoded)", visit.workspaceQuery].joinedQuery
        let document = try await visit.get(
            "/api/dead-letter", [query, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        let jobs = document["jobs"]?.elements ?? []
        let names = await visit.names(in: jobs)
        var table = TableView(
            caption: "Its jobs, the latest failure first",
            heads: ["Job", "Workspace", "State", "Attempts", "Failed", "Error"],
            empty: "<p>None of its jobs is left: all were retried, discarded or replayed.</p>")
        for job in jobs {
            table.rows.append(
                """
                <tr data-job="\(Words.text(job["id"]))"><td>\(Words.identifier(job["id"]))</td><td>\(Visit.name(job["workspace_id"], names))</td><td>\(Words.state(job["status"]))</td>
                <td>\(Words.text(job["attempts"]))/\(Words.text(job["max_attempts"]))</td><td>\(Words.time(job["failed_at"]))</td>
                <td class="error">\(String(Words.text(job["error_message"]).prefix(200)))</td></tr>
                """)
        }
        return visit.layout("/dashboard/dead-letters").page(
            "Failed with one error", events: "/dashboard/events?\(visit.workspaceQuery)",
            """
            <div data-part="jobs"><p class="problem">\(Words.text(jobs.first?["job_type"])): \(Words.text(jobs.first?["error_message"]))</p>\(table.html)</div>
            \(visit.older("/dashboard/dead-letters/\(group.percentEncoded)", visit.workspaceQuery, document))
            <section aria-labelledby="all-title"><h2 id="all-title">Do something about all of them</h2>\(actions(group, jobs.first?["payload"]))</section>
            """)
    }

    private func actions(_ group: String, _ example: JSONNode?) -> HTML {
        let workspace: HTML =
            visit.workspace.map { "<input type=\"hidden\" name=\"workspace_id\" value=\"\($0.id.text)\">" } ?? ""
        return """
            <form method="post" action="/dashboard/dead-letters/\(address: group)/change" class="fields">\(visit.formToken)\(workspace)
            <fieldset><legend>What</legend>
            <label><input type="radio" name="action" value="retry" checked> Retry: the same jobs run again</label>
            <label><input type="radio" name="action" value="replay"> Replay: new jobs like them run, with what is changed below</label>
            <label><input type="radio" name="action" value="dead_letter"> Set aside what failed, to look at it later</label>
            <label><input type="radio" name="action" value="delete"> Discard: they are deleted</label></fieldset>
            <label>Jobs a second <input name="rate" type="number" min="0.1" max="100000" step="any" placeholder="as fast as it goes"></label>
            <label>Begin with so many, go on once all of them have completed <input name="canary" type="number" min="1" max="1000000"></label>
            <label>Stop when more percent fail again <input name="stop_on_errors" type="number" min="0" max="100" step="any"></label>
            <label>Changes of the payload, for Replay: a line for each, <code>path = JSON</code>
            <textarea name="set" rows="3" spellcheck="false" placeholder="account.region = &quot;eu&quot;"></textarea></label>
            <details><summary>The payload of one of them</summary><pre>\(example.map { JSON.indented($0.text) } ?? "")</pre></details>
            <label>Reason, kept in the audit <input name="reason" maxlength="1000"></label>
            <p><button class="main">Count them…</button></p></form>
            """
    }

    // MARK: Changing

    private static let fields = ["action", "rate", "canary", "stop_on_errors", "set", "reason", "workspace_id"]

    /// First tells how many, then does it.
    func change(_ form: Form) async throws -> Response {
        let group = visit.request.parameters["group"] ?? ""
        var members = try self.members(form, group)
        let action = form["action"] ?? ""
        let title = OperationPages.title(action == "delete" ? "discard" : action)
        if form["confirmed"] == "yes" {
            if let reason = form["reason"]?.trimmingBlanks, !reason.isEmpty {
                members.append(.init("reason", .string(reason)))
            }
            let done = try await visit.send(.post, "/api/jobs/bulk", .object(members))
            guard let id = done["operation"]?["id"]?.string else {
                return visit.layout("/dashboard/dead-letters").page(
                    "Nothing to do",
                    "<p role=\"status\">No job of this group is left.</p><p><a href=\"/dashboard/dead-letters\">To the dead letters</a></p>"
                )
            }
            return Layout.redirect("/dashboard/operations/\(id.percentEncoded)")
        }
        let counted = try await visit.send(.post, "/api/jobs/bulk", .object(members + [.init("dry_run", .bool(true))]))
        let count = counted["matched"]?.whole ?? 0
        let kept = Self.fields.compactMap { name in
            form[name].map { "<input type=\"hidden\" name=\"\(name)\" value=\"\($0)\">" as HTML }
        }
        let go: HTML =
            count == 0
            ? ""
            : "<button class=\"main\(action == "delete" ? " danger" : "")\">\(title) \(count) \(count == 1 ? "job" : "jobs")</button>"
        return visit.layout("/dashboard/dead-letters").page(
            "\(title) \(count) \(count == 1 ? "job" : "jobs")?",
            """
            <form method="post" action="/dashboard/dead-letters/\(address: group)/change">\(visit.formToken)\(kept)<input type="hidden" name="confirmed" value="yes">
            <p>Workers carry it out bit by bit; its progress is shown, and it can be paused and aborted.</p>
            <p>\(go) <a href="/dashboard/dead-letters/\(address: group)">Leave it</a></p></form>
            """)
    }

    private func members(_ form: Form, _ group: String) throws -> [JSONNode.Member] {
        let action = form["action"] ?? ""
        guard ["retry", "replay", "dead_letter", "delete"].contains(action) else {
            throw APIError.invalidParameter("action", "is not known")
        }
        var filter: [JSONNode.Member] = [
            .init("error_group", .string(group)),
            .init("status", action == "dead_letter" ? "failed" : ["failed", "dead_letter"]),
        ]
        if let workspace = form["workspace_id"], !workspace.isEmpty {
            filter.append(.init("workspace_id", .string(workspace)))
        } else if !visit.isOperator, visit.workspaces.count == 1, let only = visit.workspaces.first {
            // A member's operation is on jobs of one workspace.
            filter.append(.init("workspace_id", .string(only.id.text)))
        }
        var members: [JSONNode.Member] = [.init("action", .string(action)), .init("filter", .object(filter))]
        // Always an operation, so that its progress is to be seen.
        var rate = "100000"
        if let text = form["rate"]?.trimmingBlanks, !text.isEmpty { rate = text }
        guard Double(rate) != nil else { throw APIError.invalidParameter("rate", "must be a number") }
        members.append(.init("rate", .number(rate)))
        for name in ["canary", "stop_on_errors"] {
            guard let text = form[name]?.trimmingBlanks, !text.isEmpty else { continue }
            guard Double(text) != nil else { throw APIError.invalidParameter(name, "must be a number") }
            members.append(.init(name, .number(text)))
        }
        let changes = try Self.changes(form["set"] ?? "")
        if !changes.isEmpty {
            guard action == "replay" else {
                throw APIError.invalidParameter("changes of the payload", "go with Replay alone")
            }
            members.append(.init("set", .object(changes)))
        }
        return members
    }

    /// - Parameter text: Lines of the form `path = JSON`.
    static func changes(_ text: String) throws(APIError) -> [JSONNode.Member] {
        var changes: [JSONNode.Member] = []
        for line in text.split(whereSeparator: \.isNewline) where !line.allSatisfy(\.isWhitespace) {
            guard let middle = line.firstIndex(of: "=") else {
                throw APIError.invalidParameter("a change of the payload", "must have the form 'path = JSON'")
            }
            let path = String(line[..<middle]).trimmingBlanks
            guard !path.isEmpty, let value = JSONNode(parsing: Array(line[line.index(after: middle)...].utf8)) else {
                throw APIError.invalidParameter(
                    "the change of '\(path)'", "must be JSON: a text stands in double quotes")
            }
            changes.append(.init(path, value))
        }
        return changes
    }
}
