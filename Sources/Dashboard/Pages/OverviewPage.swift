import ControlPlane
import HummingbirdCore

/// Whether work flows, at a glance.
struct OverviewPage {
    let visit: Visit

    func response(_ cache: OverviewCache) async throws -> Response {
        let figures = try await cache.figures(for: visit.session.caller, workspaceID: try visit.workspaceID)
        let failures = try await visit.get("/api/jobs", join("status=failed,dead_letter&limit=5"))
        var recent = TableView(
            caption: "The newest failed jobs", heads: ["Job", "Type", "State", "Failed", "Error"],
            empty: "<p>Nothing failed.</p>")
        for job in failures["jobs"]?.elements ?? [] {
            recent.rows.append(
                """
                <tr><td>\(Words.identifier(job["id"]))</td><td>\(Words.text(job["job_type"]))</td>
                <td>\(Words.state(job["status"]))</td><td>\(Words.time(job["failed_at"]))</td>
                <td class="error">\(String(Words.text(job["error_message"]).prefix(160)))</td></tr>
                """)
        }
        return visit.layout("/dashboard").page(
            "Overview", events: "/dashboard/events?\(visit.workspaceQuery)",
            """
            \(workspaceForm)<div data-part="verdict"><p class="verdict">\(Self.verdict(figures))</p></div>
            <div data-part="tiles">\(tiles(figures))</div>
            <div class="charts" data-part="charts">
            \(Chart(title: "Ended a minute, last hour", unit: "jobs", values: figures.minutes.map { Double($0.ended) }).html)
            \(Chart(title: "Longest wait by minute, last hour", unit: "s", values: figures.minutes.map(\.wait)).html)
            </div>
            <div data-part="failures"><h2>Failures</h2>\(recent.html)</div>
            """)
    }

    private var workspaceForm: HTML {
        guard visit.isOperator else { return "" }
        return """
            <form class="filters" action="/dashboard"><label>Workspace
            <input name="workspace_id" value="\((try? visit.query("workspace_id")) ?? "")" placeholder="all"></label>
            <button>Show</button></form>
            """
    }

    private func join(_ query: String) -> String {
        visit.workspaceQuery.isEmpty ? query : query + "&" + visit.workspaceQuery
    }

    static func verdict(_ figures: OverviewFigures) -> String {
        let running = figures.counts["processing"] ?? 0
        if let age = figures.oldestDue, age > 60, running == 0 {
            return
                "Work stands still: \(count(figures.dueNow)) due, the oldest for \(Words.seconds(age)), and nothing runs."
        }
        if let age = figures.oldestDue, age > 60 {
            return "Work flows slowly: \(count(figures.dueNow)) due, the oldest for \(Words.seconds(age))."
        }
        if running == 0, figures.dueNow == 0 { return "All is done: nothing is due and nothing runs." }
        return "Work flows: \(running) running, the oldest due job waits \(Words.seconds(figures.oldestDue ?? 0))."
    }

    /// What was counted to a limit says so.
    private static func count(_ value: Int) -> String { value > 10_000 ? "more than 10000" : String(value) }

    private func tiles(_ figures: OverviewFigures) -> HTML {
        func tile(_ title: String, _ value: String, _ link: String? = nil) -> HTML {
            let shown: HTML =
                link.map { "<a href=\"/dashboard/jobs?status=\($0)&amp;\(visit.workspaceQuery)\">\(value)</a>" }
                ?? "\(value)"
            return "<div class=\"tile\"><dt>\(title)</dt><dd>\(shown)</dd></div>"
        }
        func state(_ name: String) -> String { Self.count(figures.counts[name] ?? 0) }
        let rate = figures.successRate.map { "\(Int(($0 * 1000).rounded()) / 10) %" } ?? "—"
        let sample: HTML =
            figures.isSample ? "<p class=\"note\">≈ from the newest \(OverviewFigures.sampleMax) that ended</p>" : ""
        return """
            <dl class="tiles">\(tile("Waiting", state("pending"), "pending"))\(tile("Due now", Self.count(figures.dueNow)))
            \(tile("Running", state("processing"), "processing"))\(tile("Blocked", state("blocked"), "blocked"))
            \(tile("Failed", state("failed"), "failed"))\(tile("Set aside", state("dead_letter"), "dead_letter"))
            \(tile("Succeeded, last hour", rate))
            \(tile("Wait p50 / p95", percentiles(figures.waits)))\(tile("Run p50 / p95", percentiles(figures.runs)))</dl>\(sample)
            """
    }

    private func percentiles(_ values: [Double]) -> String {
        values.count < 2 ? "—" : "\(Words.seconds(values[0])) / \(Words.seconds(values[1]))"
    }
}

/// Bars for the minutes of an hour, with the figures behind them as a table.
struct Chart {
    let title: String
    let unit: String
    let values: [Double]

    var html: HTML {
        let top = max(values.max() ?? 0, 1)
        let bars = values.enumerated().map { index, value -> HTML in
            let height = value <= 0 ? 0 : max(1, Int((value / top * 60).rounded()))
            return "<rect x=\"\(index * 6)\" y=\"\(62 - height)\" width=\"5\" height=\"\(height)\"></rect>"
        }
        let rows = values.enumerated().filter { $0.element > 0 }.map { index, value -> HTML in
            "<tr><td>\(59 - index)</td><td>\(Self.rounded(value))</td></tr>"
        }
        return """
            <figure><figcaption>\(title) <span class="note">highest \(Self.rounded(values.max() ?? 0)) \(unit)</span></figcaption>
            <svg viewBox="0 0 360 64" role="img" aria-label="\(title): highest \(Self.rounded(values.max() ?? 0)) \(unit)">
            <line x1="0" y1="63" x2="360" y2="63"></line>\(bars)</svg>
            <details><summary>As a table</summary><table><caption>\(title)</caption>
            <thead><tr><th scope="col">Minutes ago</th><th scope="col">\(unit)</th></tr></thead><tbody>\(rows)</tbody></table></details></figure>
            """
    }

    private static func rounded(_ value: Double) -> String {
        value == value.rounded() ? String(Int(value)) : String((value * 10).rounded() / 10)
    }
}
