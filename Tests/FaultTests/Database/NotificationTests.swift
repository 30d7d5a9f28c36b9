import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Notifications that get lost, come in masses or are forged.
@Suite(.database()) struct NotificationTests {
    let database = TestDatabase.current

    @Test func `a job added at the instant at which the listening session is ended is found at once`() async throws {
        let ledger = Ledger()
        var listen = database.workerSettings
        listen.applicationName = "jobworker listen"
        try await database.withWorker(
            ledger.processor(), listen: listen, change: { $0.maxConcurrent = 2 }
        ) { worker in
            for round in 1...40 {
                try await eventually("it listens") { worker.state.snapshot.isListening }
                // Both in one go: the notification may come before, in or after the gap.
                async let ended: Rows = database.query(
                    """
                    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND application_name = 'jobworker listen'
                    """)
                try await database.insertJob("noop")
                _ = try await ended
                // The timer would come in five minutes.
                try await database.waitUntilQuiet()
                #expect(ledger.jobs == round)
            }
        }
    }

    @Test func `a hundred thousand forged notifications cause few looks, and cost no memory`() async throws {
        let proxy = try FaultProxy(to: database.server)
        let daemon = try RunningDaemon(
            database: database.workerString(through: proxy),
            environment: ["WORKER_POLL_INTERVAL_MS": "300000", "WORKER_SHUTDOWN_TIMEOUT_SECONDS": "0"])
        try await daemon.waitUntilReady()
        let process = try await daemon.processID(in: database)
        try await database.insertJob("sleep", payload: "{\"seconds\": 600}")
        #expect(await daemon.notify.wait(within: .seconds(60)) { $0.hasPrefix("STATUS=Working: 1 of 5") } != nil)
        func claims() -> Int { proxy.statements("jobworker:claim") + proxy.statements("jobworker:claim.one") }
        let (claimsBefore, beats) = (claims(), proxy.statements("jobworker:heartbeat"))
        let memory = residentMemory(of: process)
        // Any role may notify, on any channel. A transaction each, as equal ones within one are sent once.
        // Nobody but a worker is told its channel; the attacker has guessed it.
        try await database.waitUntil("true", of: "jobworker.waiting_workers", atMost: .seconds(30))
        let rows = try await database.query("SELECT channel FROM jobworker.waiting_workers")
        let channel: String = try #require(rows.first).decode("channel")
        let attacker = try await Connection.open(database.settings)
        try await attacker.runScript("SET ROLE authenticated")
        try await attacker.runScript(
            """
            DO $$ BEGIN
                FOR i IN 1..25000 LOOP
                    PERFORM pg_notify('\(channel)', '0 0 default');
                    PERFORM pg_notify('\(channel)', 'job ' || gen_random_uuid() || ' 0 0 default');
                    PERFORM pg_notify('\(channel)', repeat('x', 100) || i);
                    PERFORM pg_notify('jobworker_cancel', (SELECT string_agg(chr(1 + (i + n) % 120), '') FROM generate_series(1, 50) n));
                    COMMIT;
                END LOOP;
            END $$
            """, timeout: .seconds(300))
        await attacker.close()
        // A real one comes through behind them.
        try await database.insertJob("noop")
        try await database.waitUntil("job_type = 'noop' AND status = 'completed'", atMost: .seconds(120))
        #expect(claims() - claimsBefore < 10_000)
        #expect(proxy.statements("jobworker:heartbeat") - beats < 5_000)
        #expect(residentMemory(of: process) - memory < 32 << 20)
        #expect(try await database.count("job_type = 'sleep' AND status = 'processing' AND attempts = 1") == 1)
        daemon.send(.terminate)
        await daemon.stop()
    }
}
