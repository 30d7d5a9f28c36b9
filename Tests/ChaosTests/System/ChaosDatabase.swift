import Development
import JobWorker
import Postgres

/// The server under attack, with what the checks need: an audit of every change of a job, and later the ledger.
struct ChaosDatabase: Sendable {
    static let name = "chaos"
    static let role = "chaos_worker"
    static let client = "chaos client"

    let server: PrivatePostgres
    /// As the superuser.
    let admin: ConnectionPool
    /// As those who add, cancel and retry jobs; not through a proxy.
    let clients: ConnectionPool

    static func start(in directory: String) async throws -> ChaosDatabase {
        var options = PrivatePostgres.Options()
        options.isTemporary = true
        options.settings = ["max_connections": "200", "shared_buffers": "128MB", "log_min_messages": "fatal"]
        let server = try await PrivatePostgres.start(in: directory, options: options)
        let first = try await Connection.open(
            ConnectionSettings(connectionString: server.connectionString(), applicationName: "chaos"))
        try await first.runScript("CREATE DATABASE \(name)")
        await first.close()
        var settings = ConnectionSettings(
            connectionString: server.connectionString(database: name), applicationName: "chaos admin")
        _ = try await Migrator(settings: settings).migrate()
        // The checks look at all that happened.
        settings.statementTimeout = .seconds(600)
        settings.answerTimeout = .seconds(600)
        let admin = ConnectionPool(settings, limit: 6)
        try await admin.withConnection { try await $0.runScript(schema) }
        return ChaosDatabase(
            server: server, admin: admin,
            clients: ConnectionPool(
                ConnectionSettings(
                    connectionString: server.connectionString(database: name, role: role), applicationName: client),
                limit: 6))
    }

    func stop() async {
        await admin.close()
        await clients.close()
        await server.stop(.immediate)
    }

    private static let workspace = JobMix.workspace.text

    private static let schema = """
        CREATE ROLE \(role) LOGIN IN ROLE jobworker;
        INSERT INTO public.workspaces (id, name, slug) VALUES ('\(workspace)', 'Chaos', 'chaos');
        CREATE SCHEMA chaos;
        CREATE TABLE chaos.audit (
            seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT clock_timestamp(),
            began timestamptz NOT NULL DEFAULT now(),
            txid bigint NOT NULL DEFAULT txid_current(),
            who text NOT NULL DEFAULT current_setting('application_name'),
            job uuid NOT NULL,
            old_status text, old_attempts int, old_token bigint, old_worker text, old_open boolean,
            old_heartbeat timestamptz, old_due timestamptz, old_deaths int, old_started timestamptz,
            status text, attempts int, token bigint, worker text, lease_open boolean,
            next_retry timestamptz, deaths int, max_attempts int, started timestamptz, unique_key text
        );
        CREATE INDEX ON chaos.audit (job, seq);
        CREATE INDEX ON chaos.audit (token);
        CREATE FUNCTION chaos.note() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            INSERT INTO chaos.audit (job, old_status, old_attempts, old_token, old_worker, old_open, old_heartbeat,
                old_due, old_deaths, old_started, status, attempts, token, worker, lease_open, next_retry, deaths,
                max_attempts, started, unique_key)
            VALUES (coalesce(NEW.id, OLD.id), OLD.status, OLD.attempts, OLD.lease_token, OLD.worker_id, OLD.lease_open,
                OLD.worker_heartbeat_at, greatest(OLD.created_at, OLD.scheduled_for, OLD.next_retry_at),
                OLD.worker_deaths, OLD.started_at, NEW.status, NEW.attempts, NEW.lease_token, NEW.worker_id,
                NEW.lease_open, NEW.next_retry_at, NEW.worker_deaths, NEW.max_attempts, NEW.started_at, NEW.unique_key);
            RETURN NULL;
        END
        $$;
        CREATE TRIGGER chaos_insert AFTER INSERT OR DELETE ON public.jobs FOR EACH ROW EXECUTE FUNCTION chaos.note();
        CREATE TRIGGER chaos_update AFTER UPDATE ON public.jobs FOR EACH ROW WHEN (
            (OLD.status, OLD.attempts, OLD.lease_token, OLD.worker_id, OLD.lease_open, OLD.next_retry_at,
             OLD.scheduled_for) IS DISTINCT FROM
            (NEW.status, NEW.attempts, NEW.lease_token, NEW.worker_id, NEW.lease_open, NEW.next_retry_at,
             NEW.scheduled_for))
            EXECUTE FUNCTION chaos.note();
        CREATE TABLE chaos.executions (
            run text PRIMARY KEY, job uuid NOT NULL, attempt int NOT NULL, claimed timestamptz NOT NULL,
            worker text NOT NULL, pid int NOT NULL, started timestamptz NOT NULL, last_seen timestamptz NOT NULL,
            ended timestamptz, how text
        );
        CREATE INDEX ON chaos.executions (job, claimed);
        CREATE TABLE chaos.faults (
            kind text NOT NULL, worker text, began timestamptz NOT NULL, ended timestamptz NOT NULL
        );
        CREATE TABLE chaos.acknowledged (job uuid NOT NULL);
        CREATE TABLE chaos.rolled_back (job uuid NOT NULL);
        CREATE TABLE chaos.received (id text PRIMARY KEY);
        CREATE VIEW chaos.claims AS
            SELECT * FROM chaos.audit WHERE status = 'processing' AND old_status IS DISTINCT FROM 'processing';
        """
}
