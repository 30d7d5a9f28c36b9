import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// What an administrator may set for a database or a role, and schemas that shadow ours.
@Suite(.database()) struct ServerSettingTests {
    let database = TestDatabase.current

    @Test func `settings of the database don't reach the worker's sessions`() async throws {
        for setting in [
            "statement_timeout = '200ms'", "lock_timeout = '1ms'", "idle_in_transaction_session_timeout = '10ms'",
            "idle_session_timeout = '700ms'", "default_transaction_isolation = 'serializable'",
            "TimeZone = 'Asia/Kathmandu'", "DateStyle = 'German, DMY'", "IntervalStyle = 'sql_standard'",
            "standard_conforming_strings = off", "extra_float_digits = -15", "client_encoding = 'LATIN1'",
            "bytea_output = 'escape'", "jit = on", "jit_above_cost = 0", "search_path = evil, pg_catalog, public",
        ] {
            try await database.run("ALTER DATABASE \(database.name) SET \(setting)")
        }
        try await database.run(
            """
            CREATE SCHEMA evil;
            CREATE TABLE evil.jobs (LIKE public.jobs);
            CREATE TABLE evil.job_logs (LIKE public.job_logs);
            CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'infinity'::timestamptz $$;
            CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '-infinity'::timestamptz $$;
            GRANT USAGE ON SCHEMA evil TO PUBLIC;
            GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
            """)
        await database.pool.closeIdle()
        let ledger = Ledger()
        let echo = ScriptedProcessor("echo") { job, _ in
            try await ledger.record(job) {
                // Longer than the idle time-out: its connections must be there still.
                try await Task.sleep(for: .seconds(1))
                return job.payload
            }
        }
        try await database.withWorker(echo, change: { $0.hasten() }) { worker in
            try await eventually("it listens") { worker.state.snapshot.isListening }
            let text = "{\"text\": \"Grüße, 'quoted' \\\\\\\\ 日本\"}"
            let id = try await database.insertJob("echo", payload: text, scheduledIn: .milliseconds(200))
            try await database.waitUntilQuiet()
            let job = try await database.job(id)
            #expect(job.status == "completed")
            #expect(job.attempts == 1)
            #expect(try await database.count("id = '\(id.text)' AND result = payload") == 1)
            #expect(
                try await database.count(
                    "id = '\(id.text)' AND completed_at BETWEEN pg_catalog.now() - interval '1 min' AND pg_catalog.now()"
                )
                    == 1)
            #expect(worker.state.snapshot.hasLostDatabase == false)
            #expect(worker.state.snapshot.isListening)
        }
        #expect(try await database.count("true", of: "evil.jobs") == 0)
        #expect(try await database.count("true", of: "evil.job_logs") == 0)
    }

    @Test func `a temporary table named like ours changes nothing`() async throws {
        let id = try await database.insertJob("noop")
        let pool = ConnectionPool(database.workerSettings, limit: 1)
        try await pool.query("CREATE TEMPORARY TABLE jobs (LIKE public.jobs)")
        let claimed = try await JobStore(pool: pool, lifecycleLevel: .debug).claim(.test())
        #expect(claimed.map(\.job.id) == [id])
        await pool.close()
    }

    @Test(arguments: [
        ["enable_hashjoin"], ["enable_nestloop"], ["enable_mergejoin", "enable_hashjoin"], ["enable_indexscan"],
        ["enable_indexscan", "enable_bitmapscan", "enable_indexonlyscan"], ["enable_seqscan"], ["enable_material"],
        ["enable_sort"], ["enable_hashagg", "enable_memoize"],
    ])
    func `however the planner is misled, a claim takes no more than it asks for`(off: [String]) async throws {
        try await database.insertJobs(60)
        for name in off { try await database.run("ALTER DATABASE \(database.name) SET \(name) = off") }
        // Statistics as of another table altogether.
        try await database.run(
            "ANALYZE public.jobs; UPDATE pg_class SET reltuples = 1e9, relpages = 1 WHERE oid = 'public.jobs'::regclass"
        )
        await database.workerPool.closeIdle()
        let store = database.store()
        var seen: Set<UUID> = []
        for _ in 1...7 {
            let claimed = try await store.claim(.test(queues: [("default", 5)], limit: 5))
            #expect(claimed.count == 5)
            seen.formUnion(claimed.map(\.job.id))
        }
        #expect(seen.count == 35)
        #expect(try await database.count("status = 'processing'") == 35)
    }
}
