import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct IsolationTests {
    let database = TestDatabase.current

    private static let tables = [
        "jobs", "job_logs", "job_audit", "workspace_settings", "enrichment_cache", "rate_limits", "dead_letter_queue",
        "accounts", "contacts", "job_schedules", "webhook_endpoints", "webhook_deliveries", "job_dependencies",
    ]

    /// A row of each kind in a workspace.
    private func fill(_ workspace: UUID) async throws {
        let id = workspace.text
        let job = try await database.insertJob(workspace: workspace).text
        let parent = try await database.insertJob(workspace: workspace).text
        try await database.run(
            """
            INSERT INTO public.job_logs (job_id, log_level, message) VALUES ('\(job)', 'info', 'x');
            INSERT INTO public.job_audit (workspace_id, actor, action) VALUES ('\(id)', 'x', 'x');
            INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted) VALUES ('\(id)', 'secret');
            INSERT INTO public.enrichment_cache (workspace_id, lookup_type, lookup_value, enrichment_data)
            VALUES ('\(id)', 'domain', 'example.com', '{}');
            INSERT INTO public.rate_limits (workspace_id, key) VALUES ('\(id)', '\(id)');
            INSERT INTO public.dead_letter_queue (workspace_id, job_id, job_type) VALUES ('\(id)', '\(job)', 'noop');
            INSERT INTO public.accounts (workspace_id, name) VALUES ('\(id)', 'x');
            INSERT INTO public.contacts (workspace_id, full_name) VALUES ('\(id)', 'x');
            INSERT INTO public.job_schedules (workspace_id, name, job_type, every_seconds) VALUES ('\(id)', 'x', 'noop', 60);
            INSERT INTO public.job_dependencies (job_id, depends_on_job_id) VALUES ('\(job)', '\(parent)');
            WITH endpoint AS (
                INSERT INTO public.webhook_endpoints (workspace_id, url, secret_encrypted)
                VALUES ('\(id)', 'https://example.com', 'secret') RETURNING id)
            INSERT INTO public.webhook_deliveries (endpoint_id, workspace_id, job_id, event, payload)
            SELECT id, '\(id)', '\(job)', 'job.completed', '{}' FROM endpoint;
            """)
    }

    /// How many rows of each table a user sees; `nil` where the table is closed to the user.
    private func seen(_ tenants: Tenants, by user: UUID?) async throws -> [String: Attempt] {
        var seen: [String: Attempt] = [:]
        for table in Self.tables {
            seen[table] = try await tenants.attempt("SELECT 1 FROM public.\(sql: table)", as: user)
        }
        return seen
    }

    @Test func `an admin sees each table's rows of the own workspace, and no other's`() async throws {
        let tenants = try await Tenants(in: database)
        for workspace in [tenants.mine, tenants.theirs] { try await fill(workspace) }
        for user in [tenants.admin, tenants.owner, tenants.stranger] {
            let seen = try await seen(tenants, by: user)
            for table in Self.tables where table != "job_audit" {
                #expect(seen[table] == .rows(table == "jobs" ? 2 : 1), "\(table)")
            }
        }
    }

    @Test func `an ordinary member sees jobs and records, not what is the admins'`() async throws {
        let tenants = try await Tenants(in: database)
        try await fill(tenants.mine)
        let seen = try await seen(tenants, by: tenants.member)
        for table in [
            "jobs", "job_logs", "workspace_settings", "enrichment_cache", "rate_limits", "accounts", "contacts",
        ] {
            #expect(seen[table] == .rows(table == "jobs" ? 2 : 1), "\(table)")
        }
        for table in ["job_audit", "dead_letter_queue", "webhook_endpoints", "webhook_deliveries"] {
            #expect(seen[table] == .rows(0), "\(table)")
        }
    }

    @Test func `nobody signed in, suspended or invited members, and a suspended workspace see nothing`() async throws {
        let tenants = try await Tenants(in: database)
        try await fill(tenants.mine)
        let closed = try await database.insertWorkspace(status: "suspended")
        try await fill(closed)
        let outsiders = [
            nil, try await database.insertMember(of: tenants.mine, role: "admin", status: "suspended"),
            try await database.insertMember(of: tenants.mine, status: "invited"),
            try await database.insertMember(of: closed, role: "admin"), try await database.insertUser(),
        ]
        for user in outsiders {
            for (table, attempt) in try await seen(tenants, by: user) { #expect(attempt == .rows(0), "\(table)") }
        }
    }

    @Test func `nothing is given to anon`() async throws {
        let tenants = try await Tenants(in: database)
        try await fill(tenants.mine)
        for table in Self.tables {
            let refusal = try await TestDatabase.refusal {
                try await database.asRole("anon") { try $0.execute("SELECT 1 FROM public.\(sql: table)") }
            }
            #expect(refusal == "42501", "\(table)")
        }
    }

    @Test func `the key of a workspace can't be read by its members, only that there is one`() async throws {
        let tenants = try await Tenants(in: database)
        try await fill(tenants.mine)
        for columns in ["*", "apollo_api_key_encrypted"] {
            let read: Statement = "SELECT \(sql: columns) FROM public.workspace_settings"
            #expect(try await tenants.attempt(read, as: tenants.owner) == .refused("42501"))
        }
        let configured: Statement =
            "SELECT apollo_api_key_configured FROM public.workspace_settings WHERE apollo_api_key_configured"
        #expect(try await tenants.attempt(configured, as: tenants.member) == .rows(1))
    }

    @Test func `a member adds jobs to the own workspace only`() async throws {
        let tenants = try await Tenants(in: database)
        func insert(_ workspace: UUID, _ columns: String = "", _ values: String = "") -> Statement {
            "INSERT INTO public.jobs (workspace_id, job_type, payload\(sql: columns)) VALUES (\(workspace), 'noop', '{}'\(sql: values))"
        }
        #expect(try await tenants.attempt(insert(tenants.mine), as: tenants.member) == .rows(1))
        #expect(try await database.count("inserted_by = 'authenticated'") == 1)
        #expect(try await tenants.attempt(insert(tenants.theirs), as: tenants.member) == .refused("42501"))
        #expect(try await tenants.attempt(insert(tenants.mine), as: nil) == .refused("42501"))
        for (columns, values) in [
            (", status", ", 'completed'"), (", attempts", ", 1"), (", max_attempts", ", 11"), (", max_attempts", ", 0"),
            (", created_by", ", '\(tenants.admin.text)'"), (", progress", ", '{\"percentage\": 5}'"),
            (", lease_token", ", 1"),
            (", inserted_by", ", 'postgres'"), (", result", ", '{}'"), (", worker_deaths", ", 0"),
            (", id", ", gen_random_uuid()"),
        ] {
            #expect(
                try await tenants.attempt(insert(tenants.mine, columns, values), as: tenants.owner)
                    == .refused("42501"), "\(columns)")
        }
        let own = insert(
            tenants.mine, ", created_by, priority, max_attempts, unique_key", ", '\(tenants.member.text)', 10, 10, 'k'")
        #expect(try await tenants.attempt(own, as: tenants.member) == .rows(1))
    }

    @Test func `only admins delete, and never a job that runs`() async throws {
        let tenants = try await Tenants(in: database)
        let done = try await database.insertJob(status: .completed)
        let running = try await database.insertJob(status: .processing)
        let applications = try await database.insertJob(status: .processing, isLeased: false)
        let stopping = try await database.insertJob(status: .cancelled, isLeased: true)
        func delete(_ id: UUID) -> Statement { "DELETE FROM public.jobs WHERE id = \(id)" }
        for user in [tenants.member, tenants.stranger, nil] {
            #expect(try await tenants.attempt(delete(done), as: user) == .rows(0))
        }
        for id in [running, applications, stopping] {
            #expect(try await tenants.attempt(delete(id), as: tenants.admin) == .rows(0))
        }
        #expect(try await tenants.attempt(delete(done), as: tenants.admin) == .rows(1))
        #expect(
            try await database.count(
                "action = 'job.delete' AND actor = 'user:\(tenants.admin.text)'", of: "public.job_audit") == 1)
    }

    @Test func `a member may move a waiting job in time, an admin in priority too`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob(scheduledIn: .seconds(3600))
        let now: Statement = "SELECT jobworker.reschedule_job(\(id), '{\"scheduled_for\": null}')"
        let urgent: Statement = "SELECT jobworker.reschedule_job(\(id), '{\"priority\": 7}')"
        #expect(try await tenants.attempt(now, as: tenants.stranger) == .refused("P0002"))
        #expect(try await tenants.attempt(now, as: tenants.member) == .rows(1))
        #expect(try await tenants.attempt(urgent, as: tenants.member) == .refused("42501"))
        #expect(try await tenants.attempt(urgent, as: tenants.admin) == .rows(1))
        let row = try await database.job(id)
        #expect(row.scheduledFor == nil && row.priority == 7)
    }

    @Test func `members can't write records, nor speak as somebody else`() async throws {
        let tenants = try await Tenants(in: database)
        let id = try await database.insertJob()
        for statement: Statement in [
            "INSERT INTO public.job_logs (job_id, log_level, message) VALUES (\(id), 'info', 'forged')",
            "INSERT INTO public.job_audit (workspace_id, actor, action) VALUES (\(tenants.mine), 'x', 'x')",
            "UPDATE public.job_workers SET stopped_at = now()", "DELETE FROM public.job_logs", "TRUNCATE public.jobs",
            "SELECT jobworker.record_job_change(jobs, jobs) FROM public.jobs",
            "SELECT jobworker.audit('job.cancel', 'forged', \(tenants.mine), \(id), '{}', '{}')",
            "SELECT nextval('jobworker.lease_tokens')",
        ] {
            #expect(try await tenants.attempt(statement, as: tenants.owner) == .refused("42501"), "\(statement.sql)")
        }
        _ = try await database.asUser(tenants.member) { connection in
            try connection.execute(
                "SELECT set_config('jobworker.actor', 'operator:root', true), set_config('jobworker.via', 'cli', true)")
            try connection.execute("SELECT jobworker.cancel_job(\(id))")
        }
        #expect(try await database.count("actor = 'user:\(tenants.member.text)'", of: "public.job_audit") == 1)
    }
}
