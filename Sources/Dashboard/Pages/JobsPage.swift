import ControlPlane
import HTTPTypes
import HummingbirdCore

/// Jobs: filtered by the page's address, a page at a time, changed many at once.
struct JobsPage {
    let visit: Visit

    private static let filters = ["status", "job_type", "job_queue", "workspace_id", "q", "since", "until"]
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
        var table = TableView(
            caption: "Jobs, newest first",
            heads: ["Choose", "Job", "Type", "State", "Queue", "Attempts", "Added", "Progress", "Error"],
            empty: Self.emptiness(isFiltered: !query.isEmpty))
        for job in page["jobs"]?.elements ?? [] { table.rows.append(Self.row(job)) }
        let next: HTML =
            page["next_cursor"]?.string.map {
                "<a rel=\"next\" href=\"/dashboard/jobs?\([query, "cursor=\($0)"].joinedQuery)\">Older</a>"
            } ?? ""
        let buttons = Self.actions.map { "<button name=\"action\" value=\"\($0.0)\">\($0.1)…</button> " as HTML }
        let kept = try Self.filters.flatMap { name in
            try visit.request.queryValues(name).filter { !$0.isEmpty }.map {
                "<input type=\"hidden\" name=\"\(name)\" value=\"\($0)\">" as HTML
            }
        }
        return visit.layout("/dashboard/jobs").page(
            "Jobs", events: "/dashboard/events?\(visit.workspaceQuery)",
            """
            \(try filterForm)
            <button type="button" id="newer" hidden>Show newer jobs</button>
            <form method="post" action="/dashboard/jobs/bulk">\(visit.formToken)\(kept)
            <div data-part="jobs">\(table.html)</div>
            <p class="bulk"><label><input type="checkbox" name="all" value="yes"> all that the filter means</label> \(buttons)</p></form>
            <nav aria-label="Pages of the list">\(next)</nav>
            """)
    }

    private var filterForm: HTML {
        get throws {
            let chosen = try visit.query("status")
            let options = Self.statuses.map { status -> HTML in
                "<option value=\"\(status)\"\(status == chosen ? " selected" : HTML.nothing)>\(status)</option>"
            }
            func field(_ name: String, _ title: String) throws -> HTML {
                "<label>\(title) <input name=\"\(name)\" value=\"\(try visit.query(name))\"></label> "
            }
            return """
                <form class="filters" action="/dashboard/jobs"><label>State <select name="status"><option value="">any</option>\(options)</select></label>
                \(try field("job_type", "Type"))\(try field("job_queue", "Queue"))\(try field("workspace_id", "Workspace"))\(try field("q", "Error or id"))
                <button>Filter</button> <a href="/dashboard/jobs">Clear</a></form>
                """
        }
    }

    private static func row(_ job: JSONNode) -> HTML {
        let id = Words.text(job["id"])
        let percentage = job["progress"]?["percentage"]?.whole
        let progress: HTML =
            percentage.map { "<progress max=\"100\" value=\"\($0)\" aria-label=\"Progress\">\($0) %</progress>" } ?? ""
        return """
            <tr data-job="\(id)"><td><input type="checkbox" name="id" value="\(id)" aria-label="Choose \(String(id.prefix(8)))"></td>
            <td>\(Words.identifier(job["id"]))</td><td>\(Words.text(job["job_type"]))</td><td>\(Words.state(job["status"]))</td>
            <td>\(Words.text(job["job_queue"]))</td><td>\(Words.text(job["attempts"]))/\(Words.text(job["max_attempts"]))</td>
            <td>\(Words.time(job["created_at"]))</td><td>\(progress)</td>
            <td class="error">\(String(Words.text(job["error_message"]).prefix(120)))</td></tr>
            """
    }

    private static func emptiness(isFiltered: Bool) -> HTML {
        if isFiltered { return "<p>No job fits. <a href=\"/dashboard/jobs\">Show all</a></p>" }
        return """
            <p>There are no jobs yet. Add the first one:</p>
            <pre>INSERT INTO jobs (workspace_id, job_type, payload) VALUES ('…', 'noop', '{}');</pre>
            <pre>jobworker enqueue noop --workspace …</pre>
            """
    }

    // MARK: Many at once

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
            let filter = Self.filters.compactMap { name in
                form[name].flatMap { $0.isEmpty ? nil : JSONNode.Member(name, .string($0)) }
            }
            guard !filter.isEmpty else {
                throw APIError.invalidParameter("the filter", "must name at least one condition")
            }
            which = .init("filter", .object(filter))
            let query = filter.map { "\($0.name)=\(Words.text($0.value).percentEncoded)" }.joined(separator: "&")
            count = try await visit.get("/api/jobs", query + "&page=1&limit=1")["pagination"]?["total"]?.whole ?? 0
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
        kept += Self.filters.compactMap { name in
            form[name].map { "<input type=\"hidden\" name=\"\(name)\" value=\"\($0)\">" }
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

extension [String] {
    /// Parts of a query, without the empty ones.
    var joinedQuery: String { filter { !$0.isEmpty }.joined(separator: "&") }
}
