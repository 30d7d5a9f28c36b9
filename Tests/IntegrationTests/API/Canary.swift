import FoundationEssentials
import Postgres
import Support

/// Rows of every kind in a workspace, each with a word in it that must not be seen elsewhere.
struct Canary: Sendable {
    static let word = "canary-of-the-other-workspace"

    let workspace: UUID
    let jobs: [UUID]
    let schedule = UUID()
    let operation = UUID()
    let workflow = UUID()
    let endpoint = UUID()
    let delivery = UUID()
    /// What routes name besides jobs.
    var records: [UUID] { [schedule, operation, workflow, endpoint, delivery] }
    private let database: TestDatabase

    /// Fills each table that belongs to workspaces.
    init(in workspace: UUID, of database: TestDatabase, word: String = word) async throws {
        self.workspace = workspace
        self.database = database
        var jobs: [UUID] = []
        for status in ["pending", "failed", "dead_letter", "completed", "cancelled", "processing", "blocked"] {
            let id = UUID()
            try await database.query(
                """
                INSERT INTO public.jobs (id, workspace_id, job_type, payload, status, error_message, result, unique_key,
                                         started_at, completed_at, failed_at)
                VALUES (\(id), \(workspace), 'noop', jsonb_build_object('word', \(word)), \(status), \(word),
                        to_jsonb(\(word)), \(status), now(), now(), now())
                """)
            jobs.append(id)
        }
        self.jobs = jobs
        let (id, job, parent) = (workspace.text, jobs[1].text, jobs[3].text)
        try await database.run(
            """
            INSERT INTO public.job_logs (job_id, log_level, message) VALUES ('\(job)', 'info', '\(word)');
            INSERT INTO public.job_audit (workspace_id, job_id, actor, action) VALUES ('\(id)', '\(job)', '\(word)', 'x');
            INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted, apollo_api_key_hint)
            VALUES ('\(id)', '\(word)', 'wxyz');
            INSERT INTO public.enrichment_cache (workspace_id, lookup_type, lookup_value, enrichment_data)
            VALUES ('\(id)', 'domain', '\(word)', '{}');
            INSERT INTO public.rate_limits (workspace_id, key) VALUES ('\(id)', '\(id)');
            INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type, error_message)
            VALUES ('\(id)', '\(jobs[2].text)', 'noop', '\(word)');
            INSERT INTO public.accounts (workspace_id, name) VALUES ('\(id)', '\(word)');
            INSERT INTO public.contacts (workspace_id, full_name) VALUES ('\(id)', '\(word)');
            INSERT INTO public.job_schedules (id, workspace_id, name, job_type, every_seconds)
            VALUES ('\(schedule.text)', '\(id)', '\(word)', 'noop', 60);
            INSERT INTO public.job_operations (id, workspace_id, action, state, reason, actor, via, total)
            VALUES ('\(operation.text)', '\(id)', 'retry', 'paused', '\(word)', '\(word)', 'cli', 1);
            INSERT INTO public.job_dependencies (job_id, depends_on_job_id) VALUES ('\(job)', '\(parent)');
            INSERT INTO public.job_workflows (id, workspace_id, name) VALUES ('\(workflow.text)', '\(id)', '\(word)');
            INSERT INTO public.webhook_endpoints (id, workspace_id, url, secret_encrypted)
            VALUES ('\(endpoint.text)', '\(id)', 'https://example.com/\(word.replacing(" ", with: "-"))', '\(word)');
            INSERT INTO public.webhook_deliveries (id, endpoint_id, workspace_id, job_id, event, payload)
            VALUES ('\(delivery.text)', '\(endpoint.text)', '\(id)', '\(job)', 'job.completed', '{}');
            """)
    }

    /// Everything the workspace has, in one word that changes with it. Every table that names a workspace, from the
    /// catalogue.
    func fingerprint() async throws -> String {
        var prints: [String] = []
        for table in try await Self.tables(of: database) {
            let print: String? = try await database.value(
                """
                SELECT md5(coalesce(string_agg(row::text, '' ORDER BY row::text), '')) FROM \(sql: table) AS row
                WHERE workspace_id = \(workspace)
                """)
            prints.append("\(table) \(print ?? "")")
        }
        let logs: Int? = try await database.value(
            "SELECT count(*) FROM public.job_logs JOIN public.jobs ON jobs.id = job_id WHERE workspace_id = \(workspace)"
        )
        return (prints + ["\(logs ?? 0)"]).joined(separator: "\n")
    }

    /// The tables with a column `workspace_id`.
    static func tables(of database: TestDatabase) async throws -> [String] {
        try await database.query(
            """
            SELECT format('%I.%I', class.relnamespace::regnamespace, class.relname) AS name
            FROM pg_catalog.pg_class AS class
            JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid
            WHERE class.relkind IN ('r', 'p', 'v', 'm') AND attribute.attname = 'workspace_id'
              AND NOT attribute.attisdropped
              AND class.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
            ORDER BY 1
            """
        ).map { try $0.decode("name") }
    }
}
