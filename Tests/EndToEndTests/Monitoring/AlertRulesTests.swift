import FoundationEssentials
import Glibc
import JobWorker
import Support
import Testing

/// The packaged rules and the dashboard as texts: against Prometheus' own tool, the catalogue and the guide.
struct AlertRulesTests {
    private static let rulesPath = "packaging/prometheus/jobworker.rules.yaml"

    private static var alerts: [String] {
        get throws {
            try PackagedFile.text(rulesPath).matches(of: /- alert: (\w+)/).map { String($0.1) }
        }
    }

    @Test func `Prometheus' tool finds nothing to complain of`() async {
        let result = await runProgram(["promtool", "check", "rules", PackagedFile.url(Self.rulesPath).path])
        #expect(result.status == 0, "\(result.output)")
    }

    @Test func `each alert fires when it should, and keeps still when all is well`() async throws {
        // The tests name the rules by a path relative to themselves.
        let directory = "/tmp/jobworker-rules-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let tests = try PackagedFile.text("Tests/EndToEndTests/Monitoring/alerts.promtool.yaml")
        try tests.write(toFile: directory + "/tests.yaml", atomically: true, encoding: .utf8)
        try PackagedFile.text(Self.rulesPath).write(
            toFile: directory + "/jobworker.rules.yaml", atomically: true, encoding: .utf8)
        let result = await runProgram(["promtool", "test", "rules", directory + "/tests.yaml"])
        #expect(result.status == 0, "\(result.output)")
        for alert in try Self.alerts {
            #expect(tests.contains("alertname: \(alert), exp_alerts: []"), "\(alert) is not tested in peace")
            #expect(tests.contains("alertname: \(alert)\n        exp_alerts:\n"), "\(alert) is not tested in need")
        }
    }

    @Test func `each alert has a section of the operating guide, and each such section its alert`() throws {
        let guide = try PackagedFile.text("docs/operating.md")
        let sections = guide.matches(of: /\n#### (Jobworker\w+)\n/).map { String($0.1) }
        #expect(try Self.alerts == sections)
        let runbooks = try PackagedFile.text(Self.rulesPath).matches(of: /runbook: docs\/operating\.md#(\w+)/)
            .map { String($0.1) }
        #expect(try Self.alerts.map { $0.lowercased() } == runbooks)
    }

    @Test func `rules and dashboard name only figures of the catalogue`() throws {
        let known = Set(MetricCatalog.all.map(\.name))
        let histograms = MetricCatalog.all.filter { $0.kind == .histogram }.map(\.name)
        let parts = Set(histograms.flatMap { name in ["_bucket", "_sum", "_count"].map { name + $0 } })
        let expressions = try Dashboard.load().panels.flatMap { $0.targets ?? [] }.map(\.expr).joined(separator: "\n")
        for text in [try PackagedFile.text(Self.rulesPath), expressions] {
            let names = text.matches(of: /\bjobworker_[a-z_]+/).map { String($0.output) }
            #expect(!names.isEmpty)
            for name in names { #expect(known.contains(name) || parts.contains(name), "\(name)") }
        }
    }

    @Test func `every figure of the catalogue is in the dashboard`() throws {
        let expressions = try Dashboard.load().panels.flatMap { $0.targets ?? [] }.map(\.expr).joined(separator: "\n")
        for metric in MetricCatalog.all { #expect(expressions.contains(metric.name), "\(metric.name)") }
    }

    @Test func `panels don't lie on each other, and every variable is used`() throws {
        let dashboard = try Dashboard.load()
        #expect(Set(dashboard.panels.map(\.id)).count == dashboard.panels.count)
        for (number, panel) in dashboard.panels.enumerated() {
            let place = panel.gridPos
            #expect(place.x + place.w <= 24)
            for other in dashboard.panels.dropFirst(number + 1).map(\.gridPos) {
                let isApart =
                    place.x + place.w <= other.x || other.x + other.w <= place.x || place.y + place.h <= other.y
                    || other.y + other.h <= place.y
                #expect(isApart, "\(panel.title)")
            }
        }
        let text = try PackagedFile.text("packaging/grafana/jobworker.json")
        for variable in dashboard.templating.list {
            let name = variable.name
            #expect(text.contains("$\(name)\\\"") || text.contains("${\(name)}"), "\(name)")
        }
    }
}
