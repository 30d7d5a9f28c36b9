import ControlPlane
import HTTPTypes
import HummingbirdCore
import Postgres

/// Jobs: filtered by the page's address, a page at a time, changed many at once.
struct JobsPage {
    let visit: Visit

    private static let filters = [
        "status", "job_type", "job_queue", "workspace_id", "q", "priority", "worker_id", "unique_key", "error_group",
        "since",
        "until",
    ]
    private static let statuses = [
        "pending", "blocked", "processing", "completed", "failed", "dead_letter", "cancelled",
    ]
    private static let actions = [
        ("retry", "Retry"), ("cancel", "Cancel"), ("replay", "Replay"), ("dead_letter", "Set aside"),
        ("delete", "Delete"),
    ]

    func response() async throws -> Response {
        let query = try visit.query(of: Self.filters)
        let page = try await visit.get("/api/jobs", [query, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        let jobs = page["jobs"]?.elements ?? []
        let names = await visit.names(in: jobs)
        var table = TableView(
            caption: "Jobs, newest first",
            heads: ["Choose", "Job", "Type", "State", "Attempts", "Queue", "Workspace", "Added", "Progress", "Error"],
            empty: Self.emptiness(isFiltered: !query.isEmpty))
        for job in jobs { table.rows.append(Self.row(job, names)) }
        let buttons = Self.actions.map { "<button name=\"action\" value=\"\($0.0)\">\($0.1)…</button> " as HTML }
        let kept = try Self.filters.flatMap { name in
            try values(of: name).map { "<input type=\"hidden\" name=\"\(name)\" value=\"\($0)\">" as HTML }
        }
        return visit.layout("/dashboard/jobs").page(
            "Jobs", events: "/dashboard/events?\(visit.workspaceQuery)",
            """
            \(try tabs)\(try filterForm)
            <button type="button" id="newer" hidden>Show newer jobs</button>
            <form method="post" action="/dashboard/jobs/bulk">\(visit.formToken)\(kept)
            <div data-part="jobs" data-patch>\(table.html)</div>
            <p class="bulk"><label><input type="checkbox" name="all" value="yes"> all that the filter means</label> \(buttons)</p></form>
            \(visit.older("/dashboard/jobs", query, page))
            """)
    }

    private func values(of name: String) throws -> [String] {
        if name == "workspace_id" { return visit.workspace.map { [$0.id.text] } ?? [] }
        return try visit.request.queryValues(name).map(\.trimmingBlanks).filter { !$0.isEmpty }
    }

    /// The states, each a link that keeps the rest of the filter.
    private var tabs: HTML {
        get throws {
            let rest = try visit.query(of: Self.filters.filter { $0 != "status" })
            let chosen = try visit.query("status")
            let links = ([""] + Self.statuses).map { status -> HTML in
                let query = [status.isEmpty ? "" : "status=\(status)", rest].joinedQuery
                let title = status.isEmpty ? "all" : status.replacing("_", with: " ")
                let current: HTML = status == chosen ? " aria-current=\"true\"" : ""
                return "<li><a href=\"/dashboard/jobs\(query.isEmpty ? "" : "?" + query)\"\(current)>\(title)</a></li>"
            }
            return "<nav aria-label=\"States\"><ul class=\"tabs\">\(links)</ul></nav>"
        }
    }

    private var filterForm: HTML {
        get throws {
            func field(_ name: String, _ title: String, _ hint: String = "") throws -> HTML {
                "<label>\(title) <input name=\"\(name)\" value=\"\(try visit.query(name))\" placeholder=\"\(hint)\"></label> "
            }
            let more = ["priority", "worker_id", "unique_key", "since", "until"]
            let isOpen = try more.contains { try !visit.query($0).isEmpty }
            let kept = try ["status", "workspace_id", "error_group"].flatMap { name in
                try values(of: name).map { "<input type=\"hidden\" name=\"\(name)\" value=\"\($0)\">" as HTML }
            }
            return """
                <form class="filters" action="/dashboard/jobs">\(kept)\(try field("job_type", "Type"))\(try field("job_queue", "Queue"))\(try field("q", "Error or id"))
                <details\(isOpen ? " open" : HTML.nothing)><summary>More</summary><div class="filters">\(try field("priority", "Priority"))\(try field("worker_id", "Worker"))\(try field("unique_key", "Unique key"))\(try field("since", "Added since", "2026-01-31T08:00:00Z"))\(try field("until", "Added before", "2026-02-01T00:00:00Z"))</div></details>
                <button>Filter</button> <a href="/dashboard/jobs">Clear</a></form>
                """
        }
    }

    private static func row(_ job: JSONNode, _ names: [String: String]) -> HTML {
        let id = Words.text(job["id"])
        let percentage = job["progress"]?["percentage"]?.whole
        let progress: HTML =
            percentage.map { "<progress max=\"100\" value=\"\($0)\" aria-label=\"Progress\">\($0) %</progress>" } ?? ""
        return """
            <tr data-job="\(id)"><td><input type="checkbox" name="id" value="\(id)" aria-label="Choose \(String(id.prefix(8)))"></td>
            <td>\(Words.identifier(job["id"]))</td><td>\(Words.text(job["job_type"]))</td><td data-field="status">\(Words.state(job["status"]))</td>
            <td data-field="attempts">\(Words.text(job["attempts"]))/\(Words.text(job["max_attempts"]))</td>
            <td>\(Words.text(job["job_queue"]))</td><td>\(Visit.name(job["workspace_id"], names))</td>
            <td>\(Words.time(job["created_at"]))</td><td data-field="progress">\(progress)</td>
            <td class="error" data-field="error">\(String(Words.text(job["error_message"]).prefix(120)))</td></tr>
            """
    }

    private static func emptiness(isFiltered: Bool) -> HTML {
        if isFiltered { return "<p>No job fits. <a href=\"/dashboard/jobs\">Show all</a></p>" }
        return """
            <p>There are no jobs yet. Add the first one:</p>
            <pre>INSERT INTO jobs (workspace_id, job_type, payload) VALUES ('…', 'noop', '{}');</pre>
            <pre>jobworker enqueue noop --workspace …</pre>
            <pre>curl -H "Authorization: Bearer $TOKEN" -d '{"workspace_id":"…","job_type":"noop"}' https://…/api/jobs</pre>
            """
    }

    // MARK: Many at once

    /// What the fields of the filter mean, as the API takes it.
    private static func filter(_ form: Form) -> [JSONNode.Member] {
        filters.compactMap { name in
            let isList = ["status", "job_type", "job_queue"].contains(name)
            let values = form.all(name).flatMap { isList ? $0.split(separator: ",").map(String.init) : [$0] }
                .filter { !$0.isEmpty }
            guard let last = values.last else { return nil }
            if isList { return JSONNode.Member(name, .array(values.map { .string($0) })) }
            return JSONNode.Member(
                name, name == "priority" ? Int(last).map { .number(String($0)) } ?? .string(last) : .string(last))
        }
    }

    /// First tells how many, then does it.
    func change(_ form: Form) async throws -> Response {
        let action = form["action"] ?? ""
        guard let title = Self.actions.first(where: { $0.0 == action })?.1 else {
            throw APIError.invalidParameter("action", "is not known")
        }
        let ids = form.all("id")
        var which: JSONNode.Member
        var count = ids.count
        if form["all"] == "yes" {
            let filter = Self.filter(form)
            guard !filter.isEmpty else {
                throw APIError.invalidParameter("the filter", "must name at least one condition")
            }
            which = .init("filter", .object(filter))
            let counted = try await visit.send(
                .post, "/api/jobs/bulk",
                .object([.init("action", .string(action)), which, .init("dry_run", .bool(true))]))
            count = counted["matched"]?.whole ?? 0
        } else {
            which = .init("ids", .array(ids.map { .string($0) }))
        }
        guard count > 0 else {
            throw APIError.invalidParameter("the choice", "is empty: choose jobs, or all that a filter means")
        }
        if form["confirmed"] == "yes" {
            var body: [JSONNode.Member] = [.init("action", .string(action)), which]
            if let reason = form["reason"], !reason.isEmpty { body.append(.init("reason", .string(reason))) }
            let done = try await visit.send(.post, "/api/jobs/bulk", .object(body))
            let more: HTML = done["more"] == .bool(true) ? "<p>There are more: do it again.</p>" : ""
            return visit.layout("/dashboard/jobs").page(
                "\(title): done",
                """
                <p role="status" class="verdict">\(Words.text(done["changed"])) of \(Words.text(done["matched"])) jobs were changed; the others were in a state that doesn't allow it.</p>
                \(more)<p><a href="/dashboard/jobs">To the jobs</a></p>
                """)
        }
        var kept = (ids.map { ("id", $0) } + [("action", action), ("all", form["all"] ?? ""), ("confirmed", "yes")]).map
        {
            "<input type=\"hidden\" name=\"\($0.0)\" value=\"\($0.1)\">" as HTML
        }
        kept += Self.filters.flatMap { name in
            form.all(name).map { "<input type=\"hidden\" name=\"\(name)\" value=\"\($0)\">" }
        }
        return visit.layout("/dashboard/jobs").page(
            "\(title) \(count) jobs?",
            """
            <form method="post" action="/dashboard/jobs/bulk">\(visit.formToken)\(kept)
            <p>\(title) will be tried on <strong>\(count)</strong> jobs. Those whose state doesn't allow it are passed over.</p>
            <p><label>Reason, kept in the audit <input name="reason" maxlength="1000"></label></p>
            <p><button class="main danger">\(title) \(count) jobs</button> <a href="/dashboard/jobs">Leave it</a></p></form>
            """)
    }
}
