import ControlPlane
import HTTPTypes
import HummingbirdCore

/// Jobs that wait for each other.
struct WorkflowPages {
    let visit: Visit

    func list() async throws -> Response {
        let document = try await visit.get(
            "/api/workflows", [visit.workspaceQuery, try visit.query(of: ["cursor"]), "limit=50"].joinedQuery)
        let workflows = document["workflows"]?.elements ?? []
        let names = await visit.names(in: workflows)
        var table = TableView(
            caption: "Workflows, newest first", heads: ["Workflow", "Name", "State", "Workspace", "Added"],
            empty: "<p>There are no workflows yet. <code>jobworker workflow run FILE</code> adds one.</p>")
        for workflow in workflows {
            let id = Words.text(workflow["id"])
            table.rows.append(
                """
                <tr><td><a href="/dashboard/workflows/\(address: id)" title="\(id)"><code>\(String(id.prefix(8)))</code></a></td>
                <td>\(Words.text(workflow["name"]))</td><td>\(Words.state(workflow["state"]))</td>
                <td>\(Visit.name(workflow["workspace_id"], names))</td><td>\(Words.time(workflow["created_at"]))</td></tr>
                """)
        }
        return visit.layout("/dashboard/workflows").page(
            "Workflows", events: "/dashboard/events?\(visit.workspaceQuery)",
            "<div data-part=\"workflows\">\(table.html)</div>\(visit.older("/dashboard/workflows", visit.workspaceQuery, document))"
        )
    }

    func show() async throws -> Response {
        let id = visit.parameter("id")
        let workflow = try await visit.get("/api/workflows/\(id)")
        let jobs = workflow["jobs"]?.elements ?? []
        let names = await visit.names(in: [workflow])
        let titles = Dictionary(
            jobs.map { (Words.text($0["id"]), Self.title($0)) }, uniquingKeysWith: { first, _ in first })
        let graph = GraphView(
            title: "Jobs of the workflow",
            nodes: jobs.map { job in
                GraphView.Node(
                    id: Words.text(job["id"]), title: Self.title(job), state: Words.text(job["status"]),
                    percentage: Words.text(job["status"]) == "processing" ? job["percentage"]?.whole : nil)
            },
            edges: jobs.flatMap { job in
                (job["after"]?.elements ?? []).map { (from: Words.text($0), to: Words.text(job["id"])) }
            })
        var table = TableView(
            caption: "Jobs of the workflow, in the order in which they were added",
            heads: ["Job", "Type", "State", "Waits for", "Error"], empty: "<p>None of its jobs is left.</p>")
        for job in jobs {
            let after = (job["after"]?.elements ?? []).map {
                titles[Words.text($0)] ?? String(Words.text($0).prefix(8))
            }
            table.rows.append(
                """
                <tr><td><a href="/dashboard/jobs/\(address: Words.text(job["id"]))">\(Self.title(job))</a></td><td>\(Words.text(job["job_type"]))</td>
                <td>\(Words.state(job["status"])) \(job["percentage"]?.whole.map { "\($0) %" } ?? "")</td><td>\(after.joined(separator: ", "))</td>
                <td class="error">\(String(Words.text(job["error_message"]).prefix(160)))</td></tr>
                """)
        }
        let done = jobs.count { Words.text($0["status"]) == "completed" }
        var buttons: [HTML] = []
        if jobs.contains(where: { ["pending", "blocked", "processing"].contains(Words.text($0["status"])) }) {
            buttons.append(visit.button("/dashboard/workflows/\(id)/cancel", "Cancel", isDangerous: true))
        }
        if jobs.contains(where: { ["failed", "dead_letter", "cancelled"].contains(Words.text($0["status"])) }) {
            buttons.append(visit.button("/dashboard/workflows/\(id)/retry", "Retry what failed"))
        }
        let name = Words.text(workflow["name"])
        return visit.layout("/dashboard/workflows").page(
            name.isEmpty ? "Workflow \(String(id.prefix(8)))" : "Workflow \(name)",
            events: "/dashboard/events?workspace_id=\(Words.text(workflow["workspace_id"]))",
            """
            <div data-part="head"><p class="head">\(Words.state(workflow["state"])) in \(Visit.name(workflow["workspace_id"], names)), added \(Words.time(workflow["created_at"])).
            <progress max="\(max(jobs.count, 1))" value="\(done)" aria-label="Jobs completed">\(done)</progress> \(done) of \(jobs.count) completed</p>
            <div class="actions">\(buttons)</div></div>
            <section data-part="graph" aria-label="Picture">\(graph.html)</section>
            <div data-part="jobs">\(table.html)</div>
            """)
    }

    private static func title(_ job: JSONNode) -> String {
        job["name"]?.string ?? String(Words.text(job["id"]).prefix(8))
    }

    func change() async throws -> Response {
        guard let action = visit.request.parameters["action"], ["cancel", "retry"].contains(action) else {
            throw APIError.invalidParameter("action", "is not known")
        }
        let id = visit.parameter("id")
        _ = try await visit.send(.post, "/api/workflows/\(id)/\(action)")
        return Layout.redirect("/dashboard/workflows/\(id)")
    }
}
