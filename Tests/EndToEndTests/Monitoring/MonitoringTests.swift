import FoundationEssentials
import JobWorker
import Support
import Testing

/// The dashboard and the alerts that are packaged, in a real Prometheus that scrapes a real worker.
@Suite(.database()) struct MonitoringTests {
    let database = TestDatabase.current

    /// Panels that are rightly empty here, by title and query: no request goes to Apollo.io, and no claim is lost.
    private static let emptyPanels = ["Requests to Apollo.io A", "Taken back, lost, given back B"]

    @Test func `every panel shows something of a worker at work, and every alert can be evaluated`() async throws {
        try await database.run(
            "INSERT INTO public.job_limits (name, job_type, max_running) VALUES ('mails', 'mail', 1)")
        let daemon = try await RunningDaemon.start(
            database,
            environment: [
                "WORKER_QUEUES": "*", "WORKER_HTTP_LISTEN": "127.0.0.1:0", "WORKER_RETRY_BASE_SECONDS": "0",
                "WORKER_POLL_INTERVAL_MS": "200",
            ])
        let target = try #require(daemon.log.firstMatch(of: /http:\/\/(127\.0\.0\.1:\d+)/)?.1)
        let prometheus = try await PrometheusServer(
            scraping: String(target), token: RunningDaemon.token,
            rules: PackagedFile.url("packaging/prometheus/jobworker.rules.yaml").path)
        // A series that has just appeared has no rate: what comes first makes it, what comes next moves it.
        try await work()
        for outcome in ["completed", "retried", "failed"] {
            try await prometheus.waitUntil("jobworker_jobs_total{outcome=\"\(outcome)\"}")
        }
        try await work()
        for outcome in ["completed", "retried", "failed"] {
            try await prometheus.waitUntil("rate(jobworker_jobs_total{outcome=\"\(outcome)\"}[1m]) > 0")
        }
        // The database is asked for figures every five seconds.
        try await prometheus.waitUntil("jobworker_unserved_jobs > 0")
        var seen: [String] = []
        for panel in try Dashboard.load().panels {
            for target in panel.targets ?? [] {
                let series = try await prometheus.query(Dashboard.expanded(target.expr))
                let name = "\(panel.title) \(target.refId)"
                #expect(series.isEmpty == Self.emptyPanels.contains(name), "\(name): \(target.expr)")
                seen.append(name)
            }
        }
        #expect(Set(seen).isSuperset(of: Self.emptyPanels))
        try await prometheus.waitUntil("ALERTS{alertname=\"JobworkerUnserved\"}")
        let rules = try await prometheus.rules()
        #expect(!rules.isEmpty)
        for rule in rules { #expect(rule.health == "ok", "\(rule.name): \(rule.lastError ?? "")") }
        await prometheus.stop()
        await daemon.stop()
    }

    /// Jobs of every outcome, and one that nobody serves.
    private func work() async throws {
        for queue in ["default", "other"] { try await database.insertJob("noop", queue: queue) }
        try await database.insertJob("fail", payload: "{\"times\": 1}")
        try await database.insertJob("fail", payload: "{\"permanent\": true}")
        try await database.insertJob("unheard")
        try await database.waitUntil(
            """
            NOT EXISTS (SELECT FROM public.jobs WHERE job_type <> 'unheard' AND status IN ('pending', 'processing'))
            """, of: "(SELECT 1) AS one")
    }
}
