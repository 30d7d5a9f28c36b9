import FoundationEssentials
import JobWorker
import Support
import Testing

/// What Prometheus would read of a running worker.
@Suite(.database()) struct MetricsTests {
    let database = TestDatabase.current

    @Test func `the figures tell what the worker did, and every one of the catalogue is there`() async throws {
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_QUEUES": "*"])
        try await database.insertJob("noop")
        try await database.insertJob("fail", queue: "other", payload: "{\"permanent\": true}")
        try await database.insertJob("unheard")
        try await database.waitUntil("(SELECT count(*) FROM public.jobs WHERE status IN ('completed', 'failed')) = 2")
        let answer = try await daemon.request("GET", "/metrics")
        #expect(answer.status == 200)
        let lines = answer.body.split(separator: "\n").map(String.init)
        for line in [
            "jobworker_jobs_total{queue=\"default\",job_type=\"noop\",outcome=\"completed\"} 1",
            "jobworker_jobs_total{queue=\"other\",job_type=\"fail\",outcome=\"failed\"} 1",
            "jobworker_job_duration_seconds_count{queue=\"default\",job_type=\"noop\"} 1",
            "jobworker_job_wait_seconds_count{queue=\"default\",job_type=\"noop\"} 1",
            "jobworker_unserved_jobs{job_type=\"unheard\"} 1",
            "jobworker_queue_depth{queue=\"default\",status=\"pending\"} 1",
            "jobworker_database_connected 1", "jobworker_max_concurrent 5", "jobworker_jobs_running 0",
        ] { #expect(lines.contains(line), "\(line)") }
        for metric in MetricCatalog.all where metric != MetricCatalog.apolloRequests {
            #expect(answer.body.contains("# TYPE \(metric.name) \(metric.kind.rawValue)\n"), "\(metric.name)")
        }
        #expect(answer.body.contains("process_resident_memory_bytes "))
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
