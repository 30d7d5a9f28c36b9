import Development
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

/// Each fault is brought about, and `jobworker doctor` has to find it and say what to do.
@Suite(.database()) struct DoctorCommandTests {
    let database = TestDatabase.current

    private struct Finding {
        let state: String
        let message: String
        let advice: String
    }

    /// What it finds about a subject.
    private func findings(
        _ subject: String, status: Int32 = 0, role: String = TestDatabase.workerRole,
        environment: [String: String] = [:]
    ) async throws -> [Finding] {
        let run = try await CommandRun.of(
            "doctor", "--json", database: database, role: role, environment: environment)
        #expect(run.status == status, "\(run.output)\(run.error)")
        return try run.json()["findings"]?.array?.filter { $0["subject"]?.string == subject }.map { finding in
            Finding(
                state: finding["state"]?.string ?? "", message: finding["message"]?.string ?? "",
                advice: finding["advice"]?.string ?? "")
        } ?? []
    }

    // MARK: The connection

    @Test func `a database that doesn't answer is 69, one that refuses 77, bad settings 78`() async throws {
        let away = try await CommandRun.of(
            "doctor", "--json", environment: ["DATABASE_URL": "postgresql://127.0.0.1:1/x"])
        #expect(away.status == 69)
        #expect(try away.json()["healthy"]?.bool == false)
        #expect(try await CommandRun.of("doctor", database: database, role: "nobody_at_all").status == 77)
        let bad = try await CommandRun.of("doctor", environment: ["WORKER_MAX_CONCURRENT": "0"])
        #expect(bad.status == 78 && bad.output.contains("WORKER_MAX_CONCURRENT = '0'"))
    }

    @Test func `a notification goes round, unless LISTEN is in another database`() async throws {
        #expect(try await findings("wake-ups").map(\.state) == ["ok"])
        let elsewhere = database.server.connectionString(database: "postgres", role: "postgres")
        let deaf = try await findings("wake-ups", environment: ["WORKER_LISTEN_URL": elsewhere])
        #expect(deaf.map(\.state) == ["warn"])
        #expect(deaf.first?.advice.contains("WORKER_LISTEN_URL") == true)
    }

    @Test func `the clocks of one machine are the same`() async throws {
        #expect(try await findings("clock").map(\.message) == ["the same as the database's"])
    }

    // MARK: Rights

    @Test func `a role with more than it needs is told what`() async throws {
        let role = "mighty_\(database.name)"
        try await database.run(
            """
            CREATE TABLE public.invoices (id int);
            CREATE ROLE \(role) LOGIN CREATEDB IN ROLE jobworker, pg_read_all_data;
            GRANT DELETE ON public.workspaces TO \(role);
            GRANT UPDATE ON public.invoices TO \(role);
            """)
        let found = try await findings("role", role: role)
        #expect(found.map(\.state) == ["warn", "warn", "warn"])
        #expect(found.first?.message.contains("CREATEDB, membership in pg_read_all_data") == true)
        #expect(found.dropFirst().first?.message.contains("DELETE on public.workspaces") == true)
        #expect(found.last?.message.contains("public.invoices") == true)
        try await database.run(
            "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM \(role); DROP ROLE \(role)")
    }

    @Test func `a policy too many lets a member of another workspace through, and that is really tried`() async throws {
        let other = try await database.insertWorkspace()
        _ = try await database.insertMember()
        _ = try await database.insertMember(of: other)
        let before = try await findings("workspaces")
        #expect(before.map(\.state) == ["ok"])
        #expect(before.first?.message.hasPrefix("a member of another workspace tried") == true)
        try await database.run(
            "CREATE POLICY everything ON public.jobs FOR SELECT TO authenticated USING (true)")
        let after = try await findings("workspaces", status: 1)
        #expect(after.map(\.state) == ["fail"])
        #expect(after.first?.message.contains("SELECT on public.jobs") == true)
        let policies = try await findings("row security", status: 1)
        #expect(policies.first?.message.contains("public.jobs: everything") == true)
    }

    @Test func `trying the border leaves nothing behind`() async throws {
        _ = try await database.insertMember()
        _ = try await findings("workspaces")
        #expect(try await database.count("true") == 0)
        #expect(try await database.count("true", of: "public.job_logs") == 0)
        #expect(try await database.count("true", of: "public.job_audit") == 0)
    }

    @Test func `a member who can't see the own workspace's jobs is told of`() async throws {
        _ = try await database.insertMember()
        #expect(try await findings("workspaces").map(\.state) == ["ok"])
        try await database.run("DROP POLICY jobworker_member_select ON public.jobs")
        let found = try await findings("workspaces")
        #expect(found.map(\.state) == ["warn"])
        #expect(found.first?.message.contains("doesn't see a job of the own workspace") == true)
    }

    @Test func `row security that is off, and what everybody may read, is told by table`() async throws {
        try await database.run(
            """
            ALTER TABLE public.job_logs DISABLE ROW LEVEL SECURITY;
            GRANT SELECT ON public.job_schedules TO anon;
            """)
        let found = try await findings("row security", status: 1)
        #expect(found.map(\.state) == ["fail", "warn"])
        #expect(found.first?.advice == "ALTER TABLE public.job_logs ENABLE ROW LEVEL SECURITY;")
        #expect(found.last?.message.contains("SELECT on public.job_schedules") == true)
    }

    @Test func `a login that is no member of jobworker is told how to become one`() async throws {
        try await database.run(
            """
            CREATE ROLE "lonely_\(database.name)" LOGIN BYPASSRLS;
            GRANT USAGE ON SCHEMA public, jobworker, auth TO "lonely_\(database.name)";
            GRANT ALL ON ALL TABLES IN SCHEMA public, jobworker TO "lonely_\(database.name)";
            """)
        let found = try await findings("role", status: 1, role: "lonely_\(database.name)")
        #expect(found.first?.advice.contains("GRANT jobworker TO") == true)
        try await database.run(
            """
            DROP OWNED BY "lonely_\(database.name)"; DROP ROLE "lonely_\(database.name)";
            """)
    }

    // MARK: Work

    @Test func `workers that fell silent, twins and versions are told`() async throws {
        try await database.run(
            """
            INSERT INTO public.job_workers (id, instance, host, version, queues, job_types, seen_at, running) VALUES
                ('a', 'x', 'h', '1', '{*}', '{noop}', now(), 0), ('b', 'x', 'h', '2', '{*}', '{report}', now(), 0),
                ('gone', 'y', 'h', '1', '{}', '{}', now() - interval '1 h', 3)
            """)
        let found = try await findings("workers")
        #expect(found.map(\.state) == ["ok", "warn", "warn", "warn"])
        #expect(found[1].message.contains("gone (last seen 60 min ago); 3 jobs ran there"))
        #expect(found[2].message.contains("x on h"))
        #expect(found[3].message.contains("1, 2"))
        let open = try await findings("open types")
        #expect(open.first?.message == "any member of a workspace may add jobs of: noop, report")
    }

    @Test func `rows that are left out are counted by what is wrong with them`() async throws {
        try await database.run(
            """
            ALTER TABLE public.jobs DISABLE TRIGGER jobs_insert;
            INSERT INTO public.jobs (workspace_id, job_type, payload, status, created_at)
            VALUES (NULL, 'x', '{}', 'pending', now()), ('\(TestDatabase.workspace.text)', 'x', '{}', NULL, now()),
                   ('\(TestDatabase.workspace.text)', 'x', '{}', 'strange', now()),
                   ('\(TestDatabase.workspace.text)', 'x', '{}', 'pending', NULL);
            ALTER TABLE public.jobs ENABLE TRIGGER jobs_insert;
            """)
        let found = try await findings("odd jobs").map(\.message)
        #expect(found.count == 4)
        #expect(found[0].hasPrefix("1 job without a workspace") && found[1].hasPrefix("1 job without a status"))
        #expect(found[2].contains("strange") && found[3].contains("never due"))
    }

    @Test func `finished jobs that should have gone are told of`() async throws {
        try await database.insertJob(status: .completed, finishedAgo: .seconds(10 * 86_400))
        let kept = try await findings("retention")
        #expect(kept.map(\.message) == ["1 finished job, kept for good"])
        let due = try await findings("retention", environment: ["WORKER_RETENTION_DAYS": "completed:3,failed:30"])
        #expect(due.map(\.state) == ["warn"])
        #expect(due.first?.message == "completed jobs are to go after 3 days, the oldest has been there for 10 days")
    }

    // MARK: Upkeep

    @Test func `a missing and an invalid index are told with what makes them`() async throws {
        #expect(try await findings("indexes").map(\.state) == ["ok"])
        try await database.run(
            """
            DROP INDEX public.jobs_workspace_newest;
            UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 'public.jobs_due'::regclass;
            """)
        let found = try await findings("indexes")
        #expect(found.map(\.state) == ["warn", "warn"])
        let missing = try #require(found.first { $0.message.contains("jobs_workspace_newest is missing") })
        // What it advises is right.
        let statement = missing.advice.replacing("Run: ", with: "").replacing("CONCURRENTLY ", with: "")
        try await database.run(statement)
        #expect(found.contains { $0.advice == "Run: REINDEX INDEX CONCURRENTLY public.jobs_due;" })
        #expect(try await findings("indexes").count == 1)
    }

    @Test func `a sequence that triggers of jobs can't read is a failure`() async throws {
        try await database.run("REVOKE SELECT ON SEQUENCE jobworker.workers_waiting FROM PUBLIC")
        let found = try await findings("role", status: 1)
        #expect(found.contains { $0.message.hasSuffix(" lacks rights: SELECT on jobworker.workers_waiting") })
    }

    @Test func `a trigger that doesn't fire is a failure`() async throws {
        try await database.run("ALTER TABLE public.jobs DISABLE TRIGGER jobs_announce_inserted")
        let found = try await findings("triggers", status: 1)
        #expect(found.map(\.state) == ["fail"])
        try await database.run(found[0].advice.replacing("Run: ", with: ""))
        #expect(try await findings("triggers").isEmpty)
        try await database.run("DROP TRIGGER jobs_guard_update ON public.jobs")
        #expect(
            try await findings("triggers", status: 1).map(\.message) == ["jobs_guard_update on public.jobs is missing"])
    }

    @Test func `dead rows that nobody clears away, and a table without autovacuum, are told of`() async throws {
        try await database.run(
            """
            INSERT INTO public.job_logs (job_id, log_level, message)
            SELECT NULL, 'info', 'x' FROM generate_series(1, 60000);
            DELETE FROM public.job_logs;
            """)
        try await database.run("SELECT pg_stat_force_next_flush()")
        let deadline = ContinuousClock.now + .seconds(20)
        var found = try await findings("vacuum")
        while !found.contains(where: { $0.message.contains("dead versions") }), .now < deadline {
            found = try await findings("vacuum")
        }
        // One or two more are of what the examination itself tried, and took back.
        let dead = try #require(found.first { $0.message.hasPrefix("public.job_logs holds 6000") }, "\(found)")
        #expect(dead.advice.contains("VACUUM (ANALYZE) public.job_logs;"))
        // The server of the tests has it off.
        #expect(found.contains { $0.message.hasPrefix("autovacuum is off for") })
        #expect(found.contains { $0.message.contains("nobody has looked at the rows of public.job_logs") })
    }

    @Test(.database(.adopted)) func `a database that was taken over has the same indexes and triggers`() async throws {
        let database = TestDatabase.current
        let run = try await CommandRun.of("doctor", "--json", database: database)
        let found = try run.json()["findings"]?.array ?? []
        #expect(found.first { $0["subject"]?.string == "indexes" }?["state"]?.string == "ok", "\(run.output)")
        #expect(!found.contains { $0["subject"]?.string == "triggers" })
        #expect(found.first { $0["subject"]?.string == "workspaces" }?["state"]?.string == "ok", "\(run.output)")
    }
}
