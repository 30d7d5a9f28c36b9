import ControlPlane
import HummingbirdCore
import JobWorker
import Postgres

/// Whether work flows, at a glance.
struct OverviewPage {
    let visit: Visit

    func response() async throws -> Response {
        var choice = RunFigures.Choice()
        choice.range = RunFigures.Range(rawValue: try visit.query("range")) ?? .hour
        let (type, queue) = (try visit.query("job_type"), try visit.query("job_queue"))
        choice.type = type.isEmpty ? nil : type
        choice.queue = queue.isEmpty ? nil : queue
        // Each asks on a connection of its own: together they take no longer than the slowest.
        async let askedFigures = visit.figures()
        async let askedNotices = visit.notices()
        async let askedWorkers = livingWorkers()
        async let askedFailures = newestFailures()
        let runs = try await visit.runFigures(choice)
        let (figures, notices) = (try await askedFigures, try await askedNotices)
        let (workers, failures) = (try await askedWorkers, try await askedFailures)
        return visit.layout("/dashboard").page(
            "Overview", events: "/dashboard/events?\(visit.workspaceQuery)", every: 10,
            """
            <div data-part="verdict"><p class="verdict">\(Self.verdict(figures, runs))</p></div>
            <section data-part="alerts" aria-label="Alerts">\(Self.list(notices))</section>
            <div data-part="tiles">\(tiles(figures, runs, workers))</div>
            <section aria-labelledby="runs-title"><h2 id="runs-title">What ran</h2>\(choiceForm(choice, runs))
            <div data-part="charts">\(charts(runs))</div><div data-part="kinds">\(kinds(runs, choice))</div></section>
            <section data-part="failures" aria-labelledby="failures-title"><h2 id="failures-title">Failures</h2>\(failures)</section>
            """)
    }

    /// How many workers live; `nil` for members, who needn't know.
    private func livingWorkers() async throws -> Int? {
        guard visit.isOperator else { return nil }
        return try await visit.get("/api/workers")["workers"]?.elements?.count { $0["state"]?.string == "alive" } ?? 0
    }

    private static func list(_ notices: [Notice]) -> HTML {
        guard !notices.isEmpty else { return "" }
        let items = notices.map { notice -> HTML in
            let word = notice.level == .severe ? "Alert" : "Note"
            return """
                <li class="alert \(notice.level == .severe ? "severe" : "mild")"><strong><span aria-hidden="true">\(notice.level == .severe ? "▲" : "△")</span> \(word):</strong> \(notice.sentence) <a href="\(notice.link)">Look<span class="quiet"> at it: \(notice.sentence)</span></a></li>
                """
        }
        return "<ul class=\"alerts\">\(items)</ul>"
    }

    static func verdict(_ figures: OverviewFigures, _ runs: RunFigures) -> String {
        let running = figures.counts["processing"] ?? 0
        let due = Words.count(figures.dueNow)
        if let age = figures.oldestDue, age > 60, running == 0 {
            return "Work stands still: \(due) due, the oldest for \(Words.seconds(age)), and nothing runs."
        }
        if let age = figures.oldestDue, age > 60 {
            return "Work flows slowly: \(due) due, the oldest for \(Words.seconds(age))."
        }
        if running == 0, figures.dueNow == 0 { return "All is done: nothing is due and nothing runs." }
        return """
            Work flows: \(running) running, \(due) due, the oldest of them for \(Words.seconds(figures.oldestDue ?? 0)).
            """
    }

    private func tiles(_ figures: OverviewFigures, _ runs: RunFigures, _ workers: Int?) -> HTML {
        func tile(_ title: String, _ value: String, _ link: String? = nil) -> HTML {
            let shown: HTML = link.map { "<a href=\"\($0)\">\(value)</a>" } ?? "\(value)"
            return "<div class=\"tile\"><dt>\(title)</dt><dd>\(shown)</dd></div>"
        }
        func jobs(_ title: String, _ status: String) -> HTML {
            tile(
                title, Words.count(figures.counts[status] ?? 0),
                "/dashboard/jobs?" + ["status=\(status)", visit.workspaceQuery].joinedQuery)
        }
        func pair(_ title: String, _ value: (Double) -> Double?) -> HTML {
            tile(title, value(0.5).map { "\(Words.seconds($0)) · \(Words.seconds(value(0.95)))" } ?? "—")
        }
        let range = runs.range.words
        let sample: HTML =
            figures.isSample || runs.isSample
            ? "<p class=\"note\">≈ What waits, and what ran, is from the newest \(Words.grouped(OverviewFigures.sampleMax)) jobs of a workspace.</p>"
            : ""
        return """
            <dl class="tiles">\(jobs("Waiting", "pending"))\(tile("Due now", Words.count(figures.dueNow)))
            \(tile("Oldest due", figures.oldestDue.map { Words.seconds($0) } ?? "—"))
            \(jobs("Running", "processing"))\(jobs("Blocked", "blocked"))\(jobs("Failed", "failed"))\(jobs("Set aside", "dead_letter"))
            \(tile("Ended, \(range)", Words.grouped(runs.total.ended)))\(tile("Succeeded", Words.percent(runs.total.successRate)))
            \(tile("Throughput", "\(Chart.rounded((runs.throughput * 60 * 10).rounded() / 10)) / min"))
            \(pair("Wait p50 · p95", runs.total.wait))\(pair("Run p50 · p95", runs.total.run))
            \(workers.map { tile("Workers alive", String($0), "/dashboard/workers") } ?? HTML.nothing)</dl>\(sample)
            """
    }

    private func choiceForm(_ choice: RunFigures.Choice, _ runs: RunFigures) -> HTML {
        let ranges = RunFigures.Range.allCases.map { range -> HTML in
            "<option value=\"\(range.rawValue)\"\(range == choice.range ? " selected" : HTML.nothing)>\(range.words)</option>"
        }
        func options(_ values: [String], _ chosen: String?) -> [HTML] {
            Set(values + [chosen].compactMap(\.self)).sorted().map {
                "<option value=\"\($0)\"\($0 == chosen ? " selected" : HTML.nothing)>\($0)</option>"
            }
        }
        let workspace: HTML =
            visit.workspace.map { "<input type=\"hidden\" name=\"workspace_id\" value=\"\($0.id.text)\">" } ?? ""
        return """
            <form class="filters" action="/dashboard">\(workspace)<label>Time <select name="range">\(ranges)</select></label>
            <label>Type <select name="job_type"><option value="">all</option>\(options(runs.kinds.keys.map(\.type), choice.type))</select></label>
            <label>Queue <select name="job_queue"><option value="">all</option>\(options(runs.kinds.keys.map(\.queue), choice.queue))</select></label>
            <button>Show</button></form>
            """
    }

    private func charts(_ runs: RunFigures) -> HTML {
        let span = runs.range.span
        let each = runs.range == .hour ? "a minute" : "a quarter of an hour"
        func seconds(_ title: String, _ value: (RunFigures.Sums, Double) -> Double?) -> HTML {
            Chart(
                title: title, unit: "",
                series: [
                    .init(name: "p95", style: "back", values: runs.columns.map { value($0, 0.95) ?? 0 }),
                    .init(name: "p50", style: "front", values: runs.columns.map { value($0, 0.5) ?? 0 }),
                ], span: span, show: { Words.seconds($0) }
            ).html
        }
        let ended = Chart(
            title: "Ended \(each)", unit: "jobs",
            series: [
                .init(name: "completed", style: "good", values: runs.columns.map { Double($0.completed) }),
                .init(name: "failed", style: "bad", values: runs.columns.map { Double($0.failed) }),
            ], isStacked: true, span: span)
        return """
            <div class="charts">\(ended.html)\(seconds("Wait, from due to start") { $0.wait($1) })\(seconds("Run, from start to end") { $0.run($1) })</div>
            """
    }

    private func kinds(_ runs: RunFigures, _ choice: RunFigures.Choice) -> HTML {
        var table = TableView(
            caption: "By type and queue, \(runs.range.words), the most frequent first",
            heads: [
                "Type", "Queue", "Completed", "Failed", "Tried again", "Succeeded", "Wait p50 · p95", "Run p50 · p95",
            ],
            empty: "<p>Nothing ran in the \(runs.range.words).</p>")
        func pair(_ value: (Double) -> Double?) -> String {
            value(0.5).map { "\(Words.seconds($0)) · \(Words.seconds(value(0.95)))" } ?? "—"
        }
        let sorted = runs.kinds.sorted { left, right in
            (right.value.ended, left.key.type, left.key.queue) < (left.value.ended, right.key.type, right.key.queue)
        }
        for (kind, sums) in sorted.prefix(25) {
            let query = [
                visit.workspaceQuery, "range=\(runs.range.rawValue)", "job_type=\(kind.type.percentEncoded)",
                "job_queue=\(kind.queue.percentEncoded)",
            ].joinedQuery
            table.rows.append(
                """
                <tr><td><a href="/dashboard?\(query)">\(kind.type)</a></td><td>\(kind.queue)</td><td class="number">\(Words.grouped(sums.completed))</td>
                <td class="number">\(Words.grouped(sums.failed))</td><td class="number">\(Words.grouped(sums.retried))</td><td class="number">\(Words.percent(sums.successRate))</td>
                <td>\(pair(sums.wait))</td><td>\(pair(sums.run))</td></tr>
                """)
        }
        return table.html
    }

    private func newestFailures() async throws -> HTML {
        let document = try await visit.get(
            "/api/jobs", ["status=failed,dead_letter", "limit=5", visit.workspaceQuery].joinedQuery)
        var table = TableView(
            caption: "The newest failed jobs", heads: ["Job", "Type", "State", "Failed", "Error"],
            empty: "<p>Nothing failed.</p>")
        for job in document["jobs"]?.elements ?? [] {
            table.rows.append(
                """
                <tr><td>\(Words.identifier(job["id"]))</td><td>\(Words.text(job["job_type"]))</td>
                <td>\(Words.state(job["status"]))</td><td>\(Words.time(job["failed_at"]))</td>
                <td class="error">\(String(Words.text(job["error_message"]).prefix(160)))</td></tr>
                """)
        }
        return table.html
    }
}
