import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Rows that were written past every check, straight by SQL.
struct PoisonTests {
    @Test(.database()) func `payloads that can't be used fail their own job with a sentence, and nothing else`()
        async throws
    {
        let database = TestDatabase.current
        let daemon = try await RunningDaemon.start(
            database,
            environment: [
                "WORKER_POLL_INTERVAL_MS": "100", "WORKER_RETRY_BASE_SECONDS": "0",
                "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0",
            ])
        let process = try await daemon.processID(in: database)
        let bad = [
            "'null'", "'1e400'", "'1e100000'", "'-0.0'", "'[]'", "'\"text\"'", "'{\"seconds\": \"long\"}'",
            "'{\"seconds\": 1e300}'", "'{\"seconds\": -1}'", "'{\"seconds\": 99999999999999999999999999}'",
            "'{\"seconds\": {\"a\": [[[]]]}}'", "(repeat('[', 9000) || repeat(']', 9000))::jsonb",
            "jsonb_build_object('seconds', repeat('9', 500000))", "jsonb_build_object('x', repeat('x', 100000000))",
            "jsonb_build_object('x', repeat('ü', 2000000))",
            "(SELECT jsonb_object_agg('k' || i, i) FROM generate_series(1, 200000) AS i)",
        ]
        for payload in bad {
            try await database.run(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload, max_attempts)
                VALUES ('\(TestDatabase.workspace.text)', 'sleep', \(payload), 1)
                """)
        }
        try await database.insertJobs(30)
        try await database.waitUntilQuiet(atMost: .seconds(120))
        #expect(try await database.count("job_type = 'noop' AND status = 'completed'") == 30)
        #expect(
            try await database.count("job_type = 'sleep' AND status = 'failed' AND error_message <> ''") == bad.count)
        #expect(
            try await database.count("error_message LIKE 'The payload has % bytes, more than%'") >= 2)
        #expect(residentMemory(of: process) < 256 << 20)
        #expect(try await daemon.request("GET", "/readyz").status == 200)
        daemon.send(.terminate)
        await daemon.stop()
    }

    @Test(
        .database(),
        arguments: [
            "{\"a\": \"\\u0000\"}", "\"\\ud800\"", "{\"a\": 1e200000}", "not json", "",
            String(repeating: "[", count: 20_000) + String(repeating: "]", count: 20_000), "\"a\u{0}b\"",
        ])
    func `a result that the database refuses fails its own job, and none of the same batch`(result: String) async throws
    {
        let database = TestDatabase.current
        let (ledger, go) = (Ledger(), Gate())
        let returns = ScriptedProcessor("bad", "good") { job, _ in
            try await ledger.record(job) {
                await go.passed()
                return job.type == "bad" ? JSONText(result) : JSONText("{\"fine\": true}")
            }
        }
        try await database.withWorker(returns, change: { $0.hasten(lease: .seconds(10)) }) { worker in
            let bad = try await database.insertJob("bad")
            try await database.insertJobs(4, type: "good")
            try await eventually("all run") { worker.runningCount == 5 }
            go.open()
            try await database.waitUntilQuiet()
            #expect(try await database.count("job_type = 'good' AND status = 'completed'") == 4)
            let job = try await database.job(bad)
            #expect(job.status == "failed")
            #expect(job.errorMessage?.hasPrefix("The job ran, but its result can't be stored") == true)
            #expect(ledger.repeated == 0)
        }
    }

    @Test(.database()) func `an error whose text can't be stored still ends its job`() async throws {
        let database = TestDatabase.current
        let fails = ScriptedProcessor("noop") { _, _ in throw JobFailure.permanent("a\u{0}b") }
        try await database.withWorker(fails, change: { $0.hasten() }) { _ in
            let id = try await database.insertJob("noop")
            try await database.waitUntilQuiet()
            #expect(try await database.job(id).status == "failed")
        }
    }

    @Test(.database(.adopted))
    func `rows of the application with nothing in their columns, or with unknown words, harm nobody`()
        async throws
    {
        let database = TestDatabase.current
        let before = try await database.count("true")
        try await database.run(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, job_queue, priority, attempts, max_attempts)
            SELECT w, 'noop', '{}', s, q, p, a, m
            FROM unnest(ARRAY[NULL, '\(TestDatabase.workspace.text)']::uuid[]) AS w,
                 unnest(ARRAY['pending', 'paused', 'PENDING', '']) AS s,
                 unnest(ARRAY[NULL, 'default']) AS q, unnest(ARRAY[NULL, 0]) AS p,
                 unnest(ARRAY[NULL, 0]) AS a, unnest(ARRAY[NULL, 5]) AS m
            """)
        let ledger = Ledger()
        try await database.withWorker(ledger.processor(), change: { $0.hasten() }) { worker in
            let last = try await database.insertJob("noop", priority: -10)
            try await database.waitUntil("id = '\(last.text)' AND status = 'completed'")
            // Only those of a workspace that are pending can be anybody's work.
            #expect(ledger.jobs == 16 + 1)
            #expect(worker.state.snapshot.isConnected)
            #expect(try await database.count("true") == before + 128 + 1)
        }
    }
}
