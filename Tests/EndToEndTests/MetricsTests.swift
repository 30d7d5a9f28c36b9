import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What Prometheus would read of a running worker.
@Suite(.database()) struct MetricsTests {
    let database = TestDatabase.current

    @Test func `the figures tell what the worker did, and every one of the catalogue is there`() async throws {
        try await database.run(
            "INSERT INTO public.job_limits (name, job_type, max_running) VALUES ('mails', 'mail', 1)")
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_QUEUES": "*"])
        try await database.insertJob("noop")
        try await database.insertJob("fail", queue: "other", payload: "{\"permanent\": true}")
        try await database.insertJob("unheard")
        try await database.waitUntil("(SELECT count(*) FROM public.jobs WHERE status IN ('completed', 'failed')) = 2")
        // A job's row is settled a moment before its worker counts it as done.
        try await eventually("no job is counted as running") {
            try await daemon.request("GET", "/metrics").body.contains("\njobworker_jobs_running 0\n")
        }
        let answer = try await daemon.request("GET", "/metrics")
        #expect(answer.status == 200)
        let lines = answer.body.split(separator: "\n").map(String.init)
        for line in [
            "jobworker_jobs_total{queue=\"default\",job_type=\"noop\",outcome=\"completed\"} 1",
            "jobworker_jobs_total{queue=\"other\",job_type=\"fail\",outcome=\"failed\"} 1",
            "jobworker_job_duration_seconds_count{queue=\"default\",job_type=\"noop\"} 1",
            "jobworker_job_wait_seconds_count{queue=\"default\",job_type=\"noop\"} 1",
            "jobworker_unserved_jobs{job_type=\"unheard\"} 1", "jobworker_limit_held_jobs{limit=\"mails\"} 0",
            "jobworker_alerts_open{rule=\"stalled\"} 0",
            "jobworker_alerts_total{rule=\"worker_lost\",event=\"raised\"} 0",
            "jobworker_queue_depth{queue=\"default\",status=\"pending\"} 1",
            "jobworker_database_connected 1", "jobworker_max_concurrent 5", "jobworker_jobs_running 0",
        ] { #expect(lines.contains(line), "\(line)") }
        for metric in MetricCatalog.all where metric != MetricCatalog.apolloRequests {
            #expect(answer.body.contains("# TYPE \(metric.name) \(metric.kind.rawValue)\n"), "\(metric.name)")
        }
        #expect(answer.body.contains("process_resident_memory_bytes "))
        await daemon.stop()
    }

    @Test func `a worker holds the connections that the operating guide counts`() async throws {
        let guide = try PackagedFile.text("docs/operating.md")
        let counted = guide.matches(of: /\n\| `(work|listen|figures)` \| (\d) \|/)
            .reduce(into: [:]) { $0["jobworker \($1.1)"] = Int($1.2) }
        #expect(counted.count == 3)
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_MAX_CONCURRENT": "20"])
        for _ in 0..<200 { try await database.insertJob("progress", payload: "{\"seconds\": 0.1}") }
        try await database.waitUntil("status = 'completed'")
        for _ in 0..<5 { #expect(try await daemon.request("GET", "/metrics").status == 200) }
        try await database.waitUntil("(SELECT count(*) FROM public.jobs WHERE status = 'completed') = 200")
        let rows = try await database.query(
            """
            SELECT application_name AS name, count(*) AS connections FROM pg_stat_activity
            WHERE datname = current_database() AND usename = \(TestDatabase.workerRole) GROUP BY 1
            """)
        var held: [String: Int] = [:]
        for row in rows { held[try row.decode("name")] = try row.decode("connections") }
        #expect(held == counted)
        await daemon.stop()
    }

    @Test func `over TCP the figures need the operator's token`() async throws {
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_HTTP_LISTEN": "127.0.0.1:0"])
        let address = try #require(daemon.log.firstMatch(of: /http:\/\/127\.0\.0\.1:\d+/)?.output)
        let url = "\(address)/metrics"
        let refused = await runProgram(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", url])
        #expect(refused.output == "401\n")
        let granted = await runProgram([
            "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "-H",
            "Authorization: Bearer \(RunningDaemon.token)", url,
        ])
        #expect(granted.output == "200\n")
        await daemon.stop()
    }
}
