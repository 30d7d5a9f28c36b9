import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Every command as people see it; see `Transcript`.
@Suite(.database()) struct GoldenTests {
    let database = TestDatabase.current

    private static let failed = "11111111-0000-4000-8000-000000000001"
    private static let running = "22222222-0000-4000-8000-000000000002"
    private static let waiting = "33333333-0000-4000-8000-000000000003"
    private static let done = "44444444-0000-4000-8000-000000000004"
    private static let cancelled = "55555555-0000-4000-8000-000000000005"
    private static let missing = "66666666-0000-4000-8000-000000000006"

    /// A job in each state that matters, a log, a paused queue and workers. Ages lie in the middle of what is shown, so
    /// that a slow machine shows the same.
    private func fill() async throws {
        try await database.run(
            """
            INSERT INTO public.jobs (id, workspace_id, job_type, job_queue, payload, status, priority, attempts, progress,
                created_at, next_retry_at, started_at, completed_at, failed_at, worker_id, worker_heartbeat_at,
                lease_token, lease_open, error_message, error_stack, result, unique_key, timeout_seconds, inserted_by)
            VALUES
                ('\(Self.failed)', '\(TestDatabase.workspace.text)', 'enrich_account', 'default',
                 '{"account_id": "77777777-0000-4000-8000-000000000007"}', 'failed', 0, 5, '{}',
                 now() - interval '150 min', NULL, now() - interval '100 min', now() - interval '100 min',
                 now() - interval '100 min', 'host-1-a', NULL, NULL, false,
                 'Apollo answered 500 Internal Server Error for the account example.com, five times in a row',
                 E'ApolloFault: Apollo answered 500\\nHTTPError: status 500', NULL, NULL, NULL, 'authenticated'),
                ('\(Self.running)', '\(TestDatabase.workspace.text)', 'import_csv', 'imports', '{"rows": 1200}', 'processing',
                 5, 1, '{"percentage": 45, "message": "540 of 1200 rows"}', now() - interval '15 min', NULL,
                 now() - interval '630 s', NULL, NULL, 'host-1-a', now() - interval '330 s',
                 nextval('jobworker.lease_tokens'), true, NULL,
                 NULL, NULL, 'import-7', 1800, 'service_role'),
                ('\(Self.waiting)', '\(TestDatabase.workspace.text)', 'send_report', 'mail', '{}', 'pending', -5, 1, '{}',
                 now() - interval '45 min', now() + interval '27 min', now() - interval '45 min', NULL, NULL, NULL, NULL,
                 NULL, false, 'mail server: connection refused', NULL, NULL, NULL, NULL, 'service_role'),
                ('\(Self.done)', '\(TestDatabase.workspace.text)', 'import_csv', 'imports', '{"rows": 3}', 'completed', 0, 1,
                 '{"percentage": 100}', now() - interval '3 d 12 h', NULL, now() - interval '3 d 12 h',
                 now() - interval '3 d 12 h' + interval '83 s', NULL, 'host-1-a', NULL, NULL, false, NULL, NULL,
                 '{"imported": 3, "skipped": [1.10, "x"]}', NULL, NULL, 'service_role'),
                ('\(Self.cancelled)', '\(TestDatabase.workspace.text)', 'sync_crm', 'default', '{}', 'cancelled', 0, 0, '{}',
                 now() - interval '4 d 12 h', NULL, NULL, now() - interval '4 d 11 h', NULL, NULL, NULL, NULL, false, NULL,
                 NULL, NULL, NULL, NULL, 'authenticated');
            INSERT INTO public.job_logs (job_id, log_level, message, metadata, created_at) VALUES
                ('\(Self.failed)', 'warn', 'Attempt 1 of 5 failed: Apollo answered 500', '{"attempt": 1}',
                 now() - interval '140 min'),
                ('\(Self.failed)', 'error', 'Failed for good after 5 attempts', NULL, now() - interval '100 min');
            INSERT INTO public.job_queues (name, paused_at, paused_by, max_running)
            VALUES ('mail', now() - interval '210 s', 'operator:alice', 4);
            INSERT INTO public.job_workers (id, instance, host, pid, version, queues, job_types, max_concurrent, running,
                                            started_at, seen_at, stopped_at) VALUES
                ('host-1-a', 'default', 'host-1', 17, '1.0.0', '{default,imports}', '{enrich_account,import_csv}', 5, 1,
                 now() - interval '3 d 12 h', now() - interval '15 min', NULL),
                ('host-2-b', 'default', 'host-2', 18, '1.0.0', '{mail}', '{send_report}', 5, 0, now() - interval '270 min',
                 now() - interval '210 min', NULL);
            """)
    }

    @Test func `lists`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.run("jobs", "list")
        try await transcript.show("jobs", "list")
        try await transcript.show("jobs", "--status", "failed", "--status", "processing", "--limit", "1")
        try await transcript.show("jobs", "list", "--type", "nothing")
        try await transcript.run("queues")
        try await transcript.show("queues", "list")
        try await transcript.run("workers")
        try await transcript.show("workers", "list")
        try await transcript.show("stats")
        try await transcript.run("stats", "--workspace", TestDatabase.workspace.text)
        try transcript.matches("lists")
    }

    @Test func `single jobs`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.show("jobs", "show", Self.failed, isTable: false)
        try await transcript.run("jobs", "show", Self.running)
        try await transcript.run("jobs", "show", Self.done)
        try await transcript.run("jobs", "show", Self.waiting)
        try await transcript.run("jobs", "logs", Self.failed)
        try await transcript.show("jobs", "logs", Self.failed, "--level", "error")
        try await transcript.run("jobs", "watch", Self.failed)
        try await transcript.show("jobs", "watch", Self.done)
        try await transcript.run("jobs", "wait", Self.done)
        try await transcript.run("jobs", "wait", Self.failed, Self.done)
        try transcript.matches("single-jobs")
    }

    @Test func `documents`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.run("jobs", "list", "--status", "failed", "--json")
        try await transcript.run("jobs", "show", Self.running, "--json")
        try await transcript.run("jobs", "logs", Self.failed, "--level", "error", "--json")
        try await transcript.run("queues", "--json")
        try await transcript.run("workers", "--json")
        try await transcript.run("jobs", "cancel", "--type", "send_report", "--dry-run", "--json")
        try await transcript.run("jobs", "retry", "--type", "enrich_account", "--yes", "--json")
        try await transcript.run("queues", "resume", "mail", "--json")
        try transcript.matches("documents")
    }

    @Test func `changes`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.run("enqueue", "import_csv", "--workspace", TestDatabase.workspace.text)
        try await transcript.run(
            "enqueue", "import_csv", "--workspace", TestDatabase.workspace.text, "--unique-key", "import-7")
        try await transcript.run("jobs", "cancel", Self.waiting, "--dry-run")
        try await transcript.run("jobs", "cancel", Self.waiting)
        try await transcript.run("jobs", "cancel", Self.waiting)
        try await transcript.run("jobs", "retry", "--status", "failed")
        try await transcript.show("jobs", "retry", "--status", "failed", "--dry-run")
        try await transcript.show("jobs", "retry", "--status", "failed", input: "no\n")
        try await transcript.show("jobs", "retry", "--status", "failed", input: "yes\n")
        try await transcript.run("jobs", "delete", "--older-than", "1d", "--yes")
        try await transcript.run("jobs", "delete", "--older-than", "1d", "--yes")
        try await transcript.run("queues", "pause", "imports")
        try await transcript.run("queues", "pause", "imports")
        try await transcript.run("queues", "resume", "imports")
        try transcript.matches("changes")
    }

    @Test func `mistakes`() async throws {
        try await fill()
        var transcript = Transcript(database)
        try await transcript.run("jobs", "show", Self.missing)
        try await transcript.run("jobs", "cancel", Self.missing, Self.done)
        try await transcript.run("jobs", "cancel")
        try await transcript.run("jobs", "cancel", Self.done, "--status", "pending")
        try await transcript.run("jobs", "list", "--status", "faild")
        try await transcript.run("jobs", "list", "--limit", "0")
        try await transcript.run("jobs", "list", "--older-than", "10")
        try await transcript.run("jobs", "list", "--since", "yesterday")
        try await transcript.run("jobs", "list", "--priority", "11")
        try await transcript.run("jobs", "delete", "--search", "", "--yes")
        try await transcript.run("jobs", "list", "--type", "")
        try await transcript.run("jobs", "show", "17")
        try await transcript.run("jobs", "lst")
        try await transcript.run("enqueue", "report")
        try await transcript.run("enqueue", "report", "--workspace", Self.missing)
        try await transcript.run("enqueue", "report", "--workspace", Self.missing, "--payload", "{")
        try await transcript.run("queues", "resume", "nothing")
        try await transcript.run("stats", "--interval", "1ms")
        try transcript.matches("mistakes")
    }

    /// Commands and those below them, in the order of their names.
    private func commands() async throws -> [[String]] {
        let dump = try await CommandRun.of("--experimental-dump-help").json()
        var pending: [([String], JSONValue)] = [([], try #require(dump["command"]))]
        var found: [[String]] = []
        while let (path, command) = pending.popLast() {
            for below in command["subcommands"]?.array ?? [] {
                guard let name = below["commandName"]?.string, name != "help" else { continue }
                pending.append((path + [name], below))
            }
            found.append(path)
        }
        return found.sorted { $0.lexicographicallyPrecedes($1) }
    }

    @Test func `every command has its help, which fits a terminal of 80 columns`() async throws {
        var transcript = Transcript(nil)
        let commands = try await commands()
        #expect(commands.count > 60)
        for path in commands {
            let run = try await transcript.help(path)
            #expect(run.status == 0 && run.output.contains("USAGE: jobworker"), "\(path)")
            // The parser breaks no synopsis.
            let lines = run.output.split(separator: "\n").filter { !$0.hasPrefix("USAGE: ") }
            let widest = lines.map(\.count).max() ?? 0
            #expect(widest <= 80, "\(path) is \(widest) columns wide")
        }
        try transcript.matches("help")
    }
}
