import ControlPlane
import HTTPTypes
import HummingbirdCore

/// What recurs: rule, next times, and what can be done.
struct SchedulesPage {
    let visit: Visit

    func response() async throws -> Response {
        let document = try await visit.get(
            "/api/schedules", [visit.workspaceQuery, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        let schedules = document["schedules"]?.elements ?? []
        let names = await visit.names(in: schedules)
        var table = TableView(
            caption: "Schedules, newest first",
            heads: ["Name", "Workspace", "Type", "Recurs", "Next", "Last", "State", "Change"],
            empty: """
                <p>Nothing recurs yet. A schedule is added so:</p>
                <pre>jobworker schedules set nightly --workspace … --type send_report --cron '0 3 * * *' --timezone Europe/Berlin</pre>
                """)
        for schedule in schedules {
            let id = Words.text(schedule["id"])
            let isEnabled = schedule["enabled"] == .bool(true)
            let rule =
                schedule["cron"]?.string.map { "\($0) (\(Words.text(schedule["timezone"])))" }
                ?? "every \(Words.seconds(Double(schedule["every_seconds"]?.whole ?? 0)))"
            let next = (schedule["next_runs"]?.elements ?? []).prefix(3).map { "<li>\(Words.time($0))</li>" as HTML }
            let mistake = Words.text(schedule["last_error"])
            table.rows.append(
                """
                <tr><td>\(Words.text(schedule["name"]))</td><td>\(Visit.name(schedule["workspace_id"], names))</td>
                <td><a href="/dashboard/jobs?job_type=\(address: Words.text(schedule["job_type"]))">\(Words.text(schedule["job_type"]))</a></td><td><code>\(rule)</code>
                <p class="note">overlap \(Words.text(schedule["overlap"])), catch up \(Words.text(schedule["catch_up"]))</p></td>
                <td><ul>\(Array(next))</ul></td><td>\(Words.time(schedule["last_run_at"]))</td>
                <td>\(Words.state(.string(isEnabled ? "on" : "paused")))\(mistake.isEmpty ? HTML.nothing : "<p class=\"problem\">\(mistake)</p>")</td>
                <td><div class="actions">\(visit.button("/dashboard/schedules/\(id)/run", "Run now"))\(isEnabled
                    ? visit.button("/dashboard/schedules/\(id)/pause", "Pause")
                    : visit.button("/dashboard/schedules/\(id)/resume", "Resume"))</div></td></tr>
                """)
        }
        return visit.layout("/dashboard/schedules").page(
            "Schedules", every: 10,
            "<div data-part=\"schedules\">\(table.html)</div>\(visit.older("/dashboard/schedules", visit.workspaceQuery, document))"
        )
    }

    func change() async throws -> Response {
        guard let action = visit.request.parameters["action"], ["run", "pause", "resume"].contains(action) else {
            throw APIError.invalidParameter("action", "is not known")
        }
        _ = try await visit.send(.post, "/api/schedules/\(visit.parameter("id"))/\(action)")
        return Layout.redirect("/dashboard/schedules")
    }
}
