import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// The commands for what stands beside jobs, as people see them; see `Transcript`.
@Suite(.database()) struct RecordGoldenTests {
    let database = TestDatabase.current

    private static let account = "11111111-0000-4000-8000-000000000001"
    private static let other = "22222222-0000-4000-8000-000000000002"
    private static let report = "33333333-0000-4000-8000-000000000003"
    private static let waiting = "44444444-0000-4000-8000-000000000004"
    private static let endpoint = "88888888-0000-4000-8000-000000000008"
    private static let missing = "66666666-0000-4000-8000-000000000006"
    private static let workspace = TestDatabase.workspace.text
    private static let keys = ["WORKER_ENCRYPTION_KEYS": "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]

    /// Three failures of two kinds, and a job that waits.
    private func fill() async throws {
        try await database.run(
            """
            INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, status, attempts, created_at,
                                     started_at, completed_at, failed_at, worker_id, error_message)
            SELECT id::uuid, '\(Self.workspace)', type, queue, '{}', 'failed', 5, now() - interval '150 min',
                   now() - age, now() - age, now() - age, 'host-1-a', message
            FROM (VALUES
                ('\(Self.account)', 'enrich_account', 'default', interval '100 min',
                 'Apollo answered 500 Internal Server Error for the account 17'),
                ('\(Self.other)', 'enrich_account', 'default', interval '90 min',
                 'Apollo answered 500 Internal Server Error for the account 18'),
                ('\(Self.report)', 'send_report', 'mail', interval '80 min', 'no such recipient')
            ) AS given (id, type, queue, age, message);
            INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, status, created_at)
            VALUES ('\(Self.waiting)', '\(Self.workspace)', 'import_csv', 'imports', '{}', 'pending',
                    now() - interval '150 min 30 s');
            """)
    }

    @Test func `dead letters and operations`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.run("dlq")
        try await transcript.show("dlq", "groups")
        try await transcript.show("dlq", "list", "--type", "enrich_account")
        try await transcript.run("dlq", "list", "--type", "nothing")
        try await transcript.run("dlq", "groups", "--json")
        try await transcript.run("dlq", "retry", "--group", "nonesuch")
        try await transcript.run("dlq", "discard")
        try await transcript.run("dlq", "move", Self.report, Self.missing)
        try await transcript.run("dlq", "move", Self.report)
        try await transcript.show("dlq", "discard", Self.report, "--dry-run")
        try await transcript.run("dlq", "discard", Self.report, "--yes")
        try await transcript.run("operations")
        try await transcript.run("operations", "show", Self.missing)
        try await transcript.run("operations", "show", "17")
        try await transcript.run("dlq", "retry", "--type", "enrich_account", "--rate", "1000", "--yes", "--json")
        try await database.run("UPDATE public.job_operations SET created_at = now() - interval '45 min'")
        let id = try await database.value("SELECT id::text FROM public.job_operations", as: String.self)
        let operation = try #require(id)
        try await transcript.show("operations", "list")
        try await transcript.show("operations", "show", operation)
        try await transcript.run("operations", "abort", operation)
        try await transcript.run("dlq")
        try transcript.matches("dead-letters")
    }

    @Test func `queues and limits`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.run("queues", "set", "imports", "--max-running", "3", "--ageing", "10m")
        try await transcript.run("queues", "set", "imports", "--weight", "5", "--fair", "--dead-letter")
        try await transcript.run("queues", "set", "imports", "--ageing", "none", "--json")
        try await transcript.show("queues", "list")
        try await transcript.run("queues", "set", "imports")
        try await transcript.run("queues", "set", "imports", "--weight", "0")
        try await transcript.run("queues", "set", "imports", "--max-running", "many")
        try await transcript.run("queues", "set", "imports", "--ageing", "0s")
        try await transcript.run("limits")
        try await transcript.run(
            "limits", "set", "reports", "--type", "send_report", "--rate", "100/min", "--burst", "5")
        try await transcript.run("limits", "set", "each", "--each-workspace", "--max-running", "2")
        try await transcript.show("limits", "list")
        try await transcript.run("limits", "list", "--json")
        try await transcript.run("limits", "set", "empty")
        try await transcript.run("limits", "set", "fast", "--type", "send_report", "--rate", "5")
        try await transcript.run("limits", "remove", "nonesuch")
        try await transcript.run("limits", "remove", "each", "reports")
        try transcript.matches("rules")
    }

    @Test func `schedules`() async throws {
        var transcript = Transcript(database)
        try await transcript.run("schedules")
        try await transcript.run(
            "schedules", "add", "nightly", "--workspace", Self.workspace, "--type", "import_csv", "--cron", "0 3 * * *",
            "--timezone", "Europe/Berlin")
        try await transcript.run(
            "schedules", "add", "nightly", "--workspace", Self.workspace, "--type", "import_csv", "--cron", "0 3 * * *")
        try await transcript.run(
            "schedules", "set", "hourly", "--workspace", Self.workspace, "--type", "import_csv", "--cron", "61 * * * *")
        try await transcript.run(
            "schedules", "set", "hourly", "--workspace", Self.workspace, "--type", "import_csv", "--cron", "0 * * * *",
            "--timezone", "Europe/Nowhere")
        try await database.run(
            "UPDATE public.job_schedules SET next_run_at = now() + interval '27 min 30 s' WHERE name = 'nightly'")
        try await transcript.show("schedules", "list")
        try await transcript.run("schedules", "pause", "nightly", "--json")
        try await transcript.show("schedules", "list")
        try await transcript.run("schedules", "next", "*/15 8-18 * * 1-5")
        try await transcript.run("schedules", "next", "0 0 31 2 *")
        try await transcript.run("schedules", "run", "nightly")
        try await transcript.run("schedules", "remove", "nightly")
        try await transcript.run("schedules", "remove", "nightly")
        try transcript.matches("schedules")
    }

    @Test func `webhooks`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.run("webhooks")
        try await transcript.run("webhooks", "add", "https://hooks.example.com/jobs", "--workspace", Self.workspace)
        try await transcript.run(
            "webhooks", "add", "https://hooks.example.com/jobs", "--workspace", Self.workspace, "--event", "job.failed",
            environment: Self.keys)
        try await transcript.run(
            "webhooks", "add", "ftp://hooks.example.com", "--workspace", Self.workspace, environment: Self.keys)
        try await transcript.run(
            "webhooks", "add", "https://hooks.example.com", "--workspace", Self.missing, environment: Self.keys)
        try await transcript.run(
            "webhooks", "add", "https://hooks.example.com", "--workspace", Self.workspace, "--event", "job.lost",
            environment: Self.keys)
        try await database.run("UPDATE public.webhook_endpoints SET id = '\(Self.endpoint)'")
        try await transcript.show("webhooks", "list")
        try await transcript.run("webhooks", "deliveries")
        try await database.run(
            """
            INSERT INTO public.webhook_deliveries (id, endpoint_id, workspace_id, job_id, event, status, attempts,
                                                   next_attempt_at, response_status, error, created_at)
            VALUES ('99999999-0000-4000-8000-000000000009', '\(Self.endpoint)', '\(Self.workspace)', '\(Self.account)',
                    'job.failed', 'pending', 2, now() + interval '27 min 30 s', 503, 'the endpoint answered 503',
                    now() - interval '45 min')
            """)
        try await transcript.show("webhooks", "deliveries")
        try await transcript.run("webhooks", "deliveries", "--json")
        try await transcript.run("webhooks", "redeliver", Self.missing)
        try await transcript.run("webhooks", "disable", Self.endpoint)
        try await transcript.show("webhooks", "list")
        try await transcript.run("webhooks", "remove", Self.endpoint)
        try await transcript.run("webhooks", "remove", Self.endpoint)
        try transcript.matches("webhooks")
    }

    @Test func `workflows`() async throws {
        var transcript = Transcript(database)
        let file = """
            {"name": "import", "jobs": [
                {"name": "load", "job_type": "import_csv"},
                {"name": "report", "job_type": "send_report", "after": ["load"], "payload": {"rows": {"$result": "load.rows"}}}
            ]}
            """
        try await transcript.run("workflow", "list")
        try await transcript.run("workflow", "run", "-", input: file)
        try await transcript.run("workflow", "run", "-", "--workspace", Self.workspace, input: "{")
        try await transcript.run(
            "workflow", "run", "-", "--workspace", Self.workspace,
            input: #"{"jobs": [{"name": "a", "job_type": "x", "after": ["b"]}]}"#)
        try await transcript.run(
            "workflow", "run", "-", "--workspace", Self.workspace,
            input: #"{"jobs": [{"name": "a", "job_type": "x", "after": ["a"]}]}"#)
        try await transcript.run("workflow", "run", "-", "--workspace", Self.workspace, input: file)
        try await transcript.run("workflow", "run", "/nonexistent/file.json")
        let id = try await database.value("SELECT id::text FROM public.job_workflows", as: String.self)
        let workflow = try #require(id)
        try await database.run("UPDATE public.job_workflows SET created_at = now() - interval '45 min'")
        try await transcript.show("workflow", "list")
        try await transcript.show("workflow", "show", workflow)
        try await transcript.run("workflow", "show", Self.missing)
        try await transcript.run("workflow", "cancel", workflow)
        try await transcript.run("workflow", "show", workflow)
        try await transcript.run("workflow", "retry", workflow)
        try transcript.matches("workflows")
    }

    @Test func `why and audit`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.show("why", Self.account)
        try await transcript.show("why", Self.waiting)
        try await transcript.run("queues", "pause", "imports", "--reason", "the disk is full")
        try await transcript.show("why", Self.waiting)
        try await transcript.run("jobs", "cancel", Self.waiting, "--reason", "the file was the wrong one", "--yes")
        try await transcript.run("why", Self.waiting)
        try await transcript.run("why", Self.missing)
        try await transcript.run("why", "")
        try await transcript.show("audit")
        try await transcript.run("audit", "--actor", "nobody")
        try transcript.matches("why-and-audit")
    }

    @Test func `handlers`() async throws {
        let folder = try Folder()
        var transcript = Transcript(nil)
        let environment = ["WORKER_HANDLERS": folder.path]
        try await transcript.run("handlers", environment: environment)
        try """
        - job_type: send_report
          exec: [/bin/sh, -c, 'cat > /dev/null; echo ready >&2; echo 1']
          max_concurrent: 3
        - job_type: import_csv
          exec: [/bin/sh, -c, 'cat > /dev/null; echo the file is empty >&2; exit 65']
        """.write(toFile: "\(folder.path)/a.yaml", atomically: true, encoding: .utf8)
        try await transcript.run("handlers", "list", environment: environment)
        try await transcript.run("handlers", "check", environment: environment)
        try await transcript.run("handlers", "run", "send_report", environment: environment)
        try await transcript.run("handlers", "run", "import_csv", environment: environment)
        try await transcript.run("handlers", "run", "nonesuch", environment: environment)
        try await transcript.run("handlers", "run", "send_report", "--payload", "{", environment: environment)
        try "job_type: bad\nexec: 1\n".write(toFile: "\(folder.path)/b.yaml", atomically: true, encoding: .utf8)
        try await transcript.run("handlers", "check", environment: environment)
        try transcript.matches("handlers")
    }
}
