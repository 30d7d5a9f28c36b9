import Support
import Testing

@Suite(.database()) struct LogStormTests {
    let database = TestDatabase.current

    @Test func `of a storm of failures the log keeps a part, and says how many more there were`() async throws {
        let daemon = try await RunningDaemon.start(database, environment: ["WORKER_MAX_CONCURRENT": "50"])
        let jobs = 600
        try await database.run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload)
            SELECT '\(TestDatabase.workspace)', 'fail', '{"permanent": true}' FROM generate_series(1, \(jobs))
            """)
        try await database.waitUntil("(SELECT count(*) FROM public.jobs WHERE status = 'failed') = \(jobs)")
        await daemon.stop()
        let written = daemon.log.ranges(of: "\"message\":\"job failed\"").count
        #expect((100..<jobs).contains(written))
        let omissions = daemon.log.matches(
            of: /"message":"(\d+) more like this were left out in the last \d+ s: job failed"/)
        #expect(written + omissions.compactMap { Int($0.1) }.reduce(0, +) == jobs)
        #expect(daemon.log.contains("\"message\":\"worker started\"") && daemon.lastLogLine.contains("worker stopped"))
    }
}
