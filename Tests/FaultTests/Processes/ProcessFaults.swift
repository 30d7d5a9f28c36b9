import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Faults of worker processes and of their life cycle, brought about for real; docs/faults.md says which test shows
/// what. One after the other: they measure a machine's reaction to what they do to it.
@Suite(.serialized) enum ProcessFaults {}

extension RunningDaemon {
    /// A worker with intervals that suit a test, and with the job types for tests.
    static func startQuick(
        _ database: TestDatabase, directory: String? = nil, instance: String = "e2e",
        environment: [String: String] = [:], wrapper: [String] = []
    ) async throws -> RunningDaemon {
        let daemon = try quick(
            database, directory: directory, instance: instance, environment: environment, wrapper: wrapper)
        try await daemon.waitUntilReady()
        return daemon
    }

    /// The same; returns before it is ready.
    static func quick(
        _ database: TestDatabase, directory: String? = nil, instance: String = "e2e",
        environment: [String: String] = [:], wrapper: [String] = []
    ) throws -> RunningDaemon {
        var variables = [
            "WORKER_POLL_INTERVAL_MS": "100", "WORKER_HEARTBEAT_SECONDS": "0.5", "WORKER_STALE_AFTER_SECONDS": "4",
            "WORKER_RETRY_BASE_SECONDS": "0", "WORKER_INSTANCE": instance, "WORKER_JOB_LOGS": "debug",
        ]
        variables.merge(database.ledgerEnvironment) { $1 }
        variables.merge(environment) { $1 }
        return try RunningDaemon(
            database: database.server.connectionString(database: database.name, role: TestDatabase.workerRole),
            directory: directory, environment: variables, program: .testWorker, wrapper: wrapper)
    }
}

extension TestDatabase {
    /// Adds jobs of the type `ledger`, and waits for none.
    func insertLedgerJobs(_ count: Int, seconds: Double = 0, beat: Double = 0.5, maxAttempts: Int = 5) async throws {
        try await query(
            """
            INSERT INTO public.jobs (workspace_id, job_type, payload, max_attempts)
            SELECT \(TestDatabase.workspace), 'ledger',
                   jsonb_build_object('seconds', \(seconds)::float8, 'beat', \(beat)::float8), \(maxAttempts)
            FROM generate_series(1, \(count))
            """)
    }

    /// From here on each change of a job and each row of its log is written down, with the login that made it.
    func makeAudit() async throws {
        try await run(
            """
            CREATE TABLE public.audit (
                seq bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
                job_id uuid NOT NULL, old_status text, new_status text, old_token bigint, new_token bigint, by text
            );
            CREATE FUNCTION public.audit_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp AS $$
            BEGIN
                INSERT INTO public.audit (job_id, old_status, new_status, old_token, new_token, by)
                VALUES (NEW.id, OLD.status, NEW.status, OLD.lease_token, NEW.lease_token, session_user);
                RETURN NULL;
            END $$;
            CREATE FUNCTION public.audit_log() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp AS $$
            BEGIN
                INSERT INTO public.audit (job_id, by) VALUES (NEW.job_id, session_user);
                RETURN NULL;
            END $$;
            CREATE TRIGGER z_audit AFTER UPDATE ON public.jobs FOR EACH ROW EXECUTE FUNCTION public.audit_job();
            CREATE TRIGGER z_audit AFTER INSERT ON public.job_logs FOR EACH ROW EXECUTE FUNCTION public.audit_log();
            """)
    }

    /// Changes that left a final status for another one.
    func regressions() async throws -> Int {
        try await count(
            """
            old_status IN ('completed', 'failed', 'cancelled', 'dead_letter') AND new_status IS DISTINCT FROM old_status
            """,
            of: "public.audit")
    }
}
