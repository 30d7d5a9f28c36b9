import FoundationEssentials
import Glibc
import Support
import Testing

/// What a DogStatsD server gets of a real worker.
@Suite(.database()) struct StatsdTests {
    let database = TestDatabase.current

    private func check(_ receiver: StatsdReceiver, setting: String) async throws {
        let daemon = try await RunningDaemon.start(
            database, environment: ["WORKER_STATSD": setting, "WORKER_ENV": "tests", "WORKER_REGION": "here"])
        try await database.insertJob("noop")
        try await database.insertJob("unheard", queue: "other")
        let metrics = try await receiver.metrics { metrics in
            let names = Set(metrics.map(\.name))
            return names.isSuperset(of: [
                "jobworker.jobs", "jobworker.job_duration_seconds", "jobworker.queue_depth", "jobworker.max_concurrent",
                "jobworker.process.resident_memory_bytes",
            ])
        }
        let own = ["instance": "e2e", "env": "tests", "region": "here"]
        for metric in metrics { #expect(own.allSatisfy { metric.tags[$0.key] == $0.value }, "\(metric)") }
        let job = try #require(metrics.first { $0.name == "jobworker.jobs" })
        #expect(job.type == "c" && job.value == 1)
        #expect(job.tags["outcome"] == "completed" && job.tags["job_type"] == "noop" && job.tags["queue"] == "default")
        let duration = try #require(metrics.first { $0.name == "jobworker.job_duration_seconds" })
        #expect(duration.type == "h" && duration.value > 0 && duration.value < 60)
        #expect(metrics.contains { $0.name == "jobworker.max_concurrent" && $0.type == "g" && $0.value == 5 })
        await daemon.stop()
    }

    @Test func `figures arrive over UDP, those of queues as well`() async throws {
        let receiver = try StatsdReceiver(.udp())
        try await check(receiver, setting: "127.0.0.1:\(receiver.port)")
    }

    @Test func `figures arrive at a Unix socket`() async throws {
        let path = "/tmp/jobworker-statsd-e2e-\(getpid())-\(UInt32.random(in: .min ... .max))"
        defer { unlink(path) }
        try await check(try StatsdReceiver(.socket(path: path)), setting: "unix://\(path)")
    }

    @Test func `without a server jobs run, what is lost is counted, and the log says so once`() async throws {
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_STATSD": "/nonexistent/statsd.sock"])
        try await database.insertJob("noop")
        try await database.waitUntil("status = 'completed'")
        try await daemon.logs("figures can't be sent to the DogStatsD server")
        let figures = try await daemon.request("GET", "/metrics").body
        let dropped = figures.firstMatch(of: /\njobworker_statsd_datagrams_dropped_total (\d+)\n/)?.1
        #expect(try Int(#require(dropped)) ?? 0 > 0)
        await daemon.stop()
        #expect(daemon.log.ranges(of: "figures can't be sent").count == 1)
    }
}
