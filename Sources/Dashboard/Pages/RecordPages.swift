import ControlPlane
import HTTPTypes
import HummingbirdCore

/// What surrounds jobs: what failed, what recurs, who works, who did what.
struct RecordPages {
    let visit: Visit

    func deadLetters() async throws -> Response {
        let document = try await visit.get("/api/dead-letter/groups", visit.workspaceQuery)
        var table = TableView(
            caption: "Failed jobs by type and error, the largest group first",
            heads: ["Error", "Type", "Jobs", "Workspaces", "First", "Last", "Example"],
            empty: "<p>Nothing failed: there is nothing to do here.</p>")
        for group in document["groups"]?.elements ?? [] {
            table.rows.append(
                """
                <tr><td class="error">\(Words.text(group["error"]))</td><td><a href="/dashboard/jobs?status=failed&amp;job_type=\(address: Words.text(group["job_type"]))">\(Words.text(group["job_type"]))</a></td>
                <td>\(Words.text(group["count"]))</td><td>\(Words.text(group["workspaces"]))</td><td>\(Words.time(group["first_failed_at"]))</td>
                <td>\(Words.time(group["last_failed_at"]))</td><td>\(Words.identifier(group["example_id"]))</td></tr>
                """)
        }
        return visit.layout("/dashboard/dead-letters").page(
            "Dead letters", events: "/dashboard/events?\(visit.workspaceQuery)",
            "<div data-part=\"groups\">\(table.html)</div>")
    }

    func schedules() async throws -> Response {
        let document = try await visit.get(
            "/api/schedules", [visit.workspaceQuery, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        var table = TableView(
            caption: "Schedules, newest first", heads: ["Name", "Type", "Recurs", "Next", "Last", "State", "Change"],
            empty: "<p>Nothing recurs yet. <code>jobworker schedules set</code> adds a schedule.</p>")
        for schedule in document["schedules"]?.elements ?? [] {
            let id = Words.text(schedule["id"])
            let isEnabled = schedule["enabled"] == .bool(true)
            let rule =
                schedule["cron"]?.string.map { "\($0) (\(Words.text(schedule["timezone"])))" }
                ?? "every \(Words.text(schedule["every_seconds"])) s"
            let next = (schedule["next_runs"]?.elements ?? []).prefix(3).map { "<li>\(Words.time($0))</li>" as HTML }
            table.rows.append(
                """
                <tr><td>\(Words.text(schedule["name"]))</td><td>\(Words.text(schedule["job_type"]))</td><td><code>\(rule)</code></td>
                <td><ul>\(Array(next))</ul></td><td>\(Words.time(schedule["last_run_at"]))</td>
                <td>\(isEnabled ? "on" : "paused") \(Words.text(schedule["last_error"]))</td>
                <td class="actions">\(visit.button("/dashboard/schedules/\(id)/run", "Run now"))\(isEnabled
                    ? visit.button("/dashboard/schedules/\(id)/pause", "Pause")
                    : visit.button("/dashboard/schedules/\(id)/resume", "Resume"))</td></tr>
                """)
        }
        return visit.layout("/dashboard/schedules").page("Schedules", "\(table.html)\(older("schedules", document))")
    }

    func changeSchedule(_ form: Form) async throws -> Response {
        guard let action = visit.request.parameters["action"], ["run", "pause", "resume"].contains(action) else {
            throw APIError.invalidParameter("action", "is not known")
        }
        _ = try await visit.send(.post, "/api/schedules/\(visit.parameter("id"))/\(action)")
        return Layout.redirect("/dashboard/schedules")
    }

    func queues() async throws -> Response {
        let document = try await visit.get("/api/queues")
        var table = TableView(
            caption: "Queues by name",
            heads: ["Queue", "Waiting", "Due", "Running", "Limit", "Oldest due", "State", "Change"],
            empty: "<p>No queue holds a job.</p>")
        for queue in document["queues"]?.elements ?? [] {
            let name = Words.text(queue["name"])
            let isPaused = queue["paused_at"]?.string != nil
            let action = isPaused ? "resume" : "pause"
            let state: HTML =
                isPaused ? "paused by \(Words.text(queue["paused_by"])) \(Words.time(queue["paused_at"]))" : "open"
            table.rows.append(
                """
                <tr><td><a href="/dashboard/jobs?job_queue=\(address: name)">\(name)</a></td><td>\(Words.text(queue["depth"]))</td>
                <td>\(Words.text(queue["due"]))</td><td>\(Words.text(queue["processing"]))</td><td>\(Words.text(queue["max_running"]))</td>
                <td>\(Words.time(queue["oldest_due_at"]))</td><td>\(state)</td>
                <td class="actions">\(visit.button("/dashboard/queues/\(name.percentEncoded)/\(action)", isPaused ? "Resume" : "Pause"))</td></tr>
                """)
        }
        return visit.layout("/dashboard/queues").page(
            "Queues", events: "/dashboard/events", "<div data-part=\"queues\">\(table.html)</div>")
    }

    func changeQueue(_ form: Form) async throws -> Response {
        guard let action = visit.request.parameters["action"], ["pause", "resume"].contains(action) else {
            throw APIError.invalidParameter("action", "is not known")
        }
        _ = try await visit.send(.post, "/api/queues/\(visit.parameter("name"))/\(action)")
        return Layout.redirect("/dashboard/queues")
    }

    func workers() async throws -> Response {
        let document = try await visit.get("/api/workers")
        var table = TableView(
            caption: "Workers of the last day, the living first",
            heads: ["Worker", "State", "Host", "Version", "Running", "Queues", "Types", "Started", "Seen"],
            empty: "<p>No worker was seen in the last day.</p>")
        for worker in document["workers"]?.elements ?? [] {
            func list(_ name: String) -> String {
                (worker[name]?.elements ?? []).map { Words.text($0) }.joined(separator: ", ")
            }
            table.rows.append(
                """
                <tr><td><code>\(Words.text(worker["id"]))</code></td><td>\(Words.state(worker["state"]))</td>
                <td>\(Words.text(worker["host"])) · \(Words.text(worker["pid"]))</td><td>\(Words.text(worker["version"]))</td>
                <td>\(Words.text(worker["running"])) of \(Words.text(worker["max_concurrent"]))</td><td>\(list("queues"))</td>
                <td>\(list("job_types"))</td><td>\(Words.time(worker["started_at"]))</td><td>\(Words.time(worker["seen_at"]))</td></tr>
                """)
        }
        return visit.layout("/dashboard/workers").page("Workers", table.html)
    }

    func audit() async throws -> Response {
        let document = try await visit.get(
            "/api/audit", [visit.workspaceQuery, try visit.query(of: ["cursor", "job_id"]), "limit=50"].joinedQuery)
        var table = TableView(
            caption: "Changes by people, the latest first",
            heads: ["When", "Who", "How", "What", "Of", "Job", "Reason"],
            empty: "<p>Nobody has changed anything yet.</p>")
        for entry in document["entries"]?.elements ?? [] {
            table.rows.append(
                """
                <tr><td>\(Words.time(entry["created_at"]))</td><td>\(Words.text(entry["actor"]))</td><td>\(Words.text(entry["via"]))</td>
                <td>\(Words.text(entry["action"]))</td><td>\(Words.text(entry["subject"]))</td><td>\(Words.identifier(entry["job_id"]))</td>
                <td>\(Words.text(entry["reason"]))</td></tr>
                """)
        }
        return visit.layout("/dashboard/audit").page("Audit", "\(table.html)\(older("audit", document))")
    }

    func health() async throws -> Response {
        guard case .object(let members) = try await visit.get("/api/jobs/worker") else { throw APIError.missingPage }
        let rows = members.map {
            "<div><dt>\($0.name.replacing("_", with: " "))</dt><dd>\(Words.text($0.value))</dd></div>" as HTML
        }
        return visit.layout("/dashboard/health").page("Health", "<dl class=\"facts\">\(rows)</dl>")
    }

    private func older(_ page: String, _ document: JSONNode) -> HTML {
        guard let cursor = document["next_cursor"]?.string else { return "" }
        return """
            <nav aria-label="Pages of the list"><a rel="next" href="/dashboard/\(page)?\([visit.workspaceQuery, "cursor=\(cursor.percentEncoded)"].joinedQuery)">Older</a></nav>
            """
    }
}

extension APIError {
    static let missingPage = APIError(.notFound, code: "not_found", "There is nothing here.")
}
