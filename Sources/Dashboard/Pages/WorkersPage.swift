import ControlPlane
import HTTPTypes
import HummingbirdCore
import Postgres

/// Who works.
struct WorkersPage {
    let visit: Visit

    func response() async throws -> Response {
        let document = try await visit.get("/api/workers")
        var table = TableView(
            caption: "Workers of the last day, the living first",
            heads: ["Worker", "State", "Instance", "Host", "Version", "Running", "Queues", "Types", "Started", "Seen"],
            empty: """
                <p>No worker was seen in the last day. Start one with <code>jobworker run</code>, or with
                <code>systemctl start jobworker</code>.</p>
                """)
        for worker in document["workers"]?.elements ?? [] {
            func list(_ name: String) -> String {
                (worker[name]?.elements ?? []).map { Words.text($0) }.joined(separator: ", ")
            }
            let (running, most) = (worker["running"]?.whole ?? 0, worker["max_concurrent"]?.whole ?? 0)
            table.rows.append(
                """
                <tr><td><code>\(Words.text(worker["id"]))</code></td><td>\(Words.state(worker["state"]))</td><td>\(Words.text(worker["instance"]))</td>
                <td>\(Words.text(worker["host"])) · \(Words.text(worker["pid"]))</td><td>\(Words.text(worker["version"]))</td>
                <td>\(most > 0 ? "<meter max=\"\(most)\" value=\"\(running)\" aria-label=\"Slots in use\">\(running)</meter> " : HTML.nothing)\(running) of \(most)</td>
                <td>\(list("queues"))</td><td class="error">\(list("job_types"))</td><td>\(Words.time(worker["started_at"]))</td><td>\(Words.time(worker["seen_at"]))</td></tr>
                """)
        }
        return visit.layout("/dashboard/workers").page(
            "Workers", every: 10, "<div data-part=\"workers\">\(table.html)</div>")
    }
}
