import FoundationEssentials
import JobWorker
import Migrations
import Postgres
import Support
import Testing

@Suite(.database(.application)) struct AdoptionTests {
    let database = TestDatabase.current

    private static let adopted = [
        "jobs", "job_logs", "workspace_settings", "enrichment_cache", "dead_letter_queue",
    ]
    private static let others = ["workspaces", "workspace_members", "accounts", "contacts"]

    private func migrate() async throws { _ = try await Migrator(settings: database.settings).migrate() }

    /// Every row of a table by its id, as JSON.
    private func rows(of table: String) async throws -> [String: [String: JSONValue]] {
        let rows = try await database.query("SELECT id::text AS id, to_jsonb(t) AS row FROM public.\(sql: table) AS t")
        var found: [String: [String: JSONValue]] = [:]
        for row in rows {
            found[try row.decode("id")] = try row.decode("row", as: JSONText.self).decode([String: JSONValue].self)
        }
        return found
    }

    @Test func `no row is lost and no value changes, times without a zone are read as UTC`() async throws {
        var before: [String: [String: [String: JSONValue]]] = [:]
        for table in Self.adopted + Self.others { before[table] = try await rows(of: table) }
        // What the application's session may have set must not matter.
        try await database.run("ALTER DATABASE \(database.name) SET TimeZone = 'America/New_York'")
        try await migrate()

        var filled: Set<String> = []
        for (table, old) in before {
            let new = try await rows(of: table)
            #expect(Set(new.keys) == Set(old.keys), "\(table)")
            for (id, row) in old {
                for (column, value) in row {
                    let now = new[id]?[column]
                    if now == value { continue }
                    if let text = value.string, now?.string == text + "+00:00" { continue }
                    #expect(value == .null, "\(table) \(id) \(column): \(value) became \(String(describing: now))")
                    filled.insert("\(id.suffix(1)) \(column)")
                }
            }
        }
        #expect(
            filled == [
                "d attempts", "d max_attempts", "d priority", "d job_queue", "d progress", "e max_attempts",
                "f created_at",
            ])
    }

    @Test func `times have a zone, and the instants are those of UTC`() async throws {
        try await migrate()
        let id = try #require(UUID(uuidString: "70000000-0000-4000-8000-000000000005"))
        let job = try await database.job(id)
        #expect(job.completedAt?.description == "2026-03-01T08:10:04.250Z")
        let zoneless: Int? = try await database.value(
            """
            SELECT count(*) FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = ANY (\(Self.adopted)) AND data_type = 'timestamp without time zone'
            """)
        #expect(zoneless == 0)
    }

    @Test func `rows nobody may touch stay as they are, nulls that mean the default are filled`() async throws {
        try await migrate()
        func job(_ digit: String) async throws -> JobRow {
            try await database.job(#require(UUID(uuidString: "70000000-0000-4000-8000-00000000000\(digit)")))
        }
        let noStatus = try await job("b")
        #expect(
            noStatus.status == nil && noStatus.attempts == nil && noStatus.priority == nil && noStatus.progress == nil)
        let unknown = try await job("c")
        #expect(unknown.status == "on_hold" && unknown.attempts == nil)
        let nulls = try await job("d")
        #expect(nulls.attempts == 0 && nulls.maxAttempts == 5 && nulls.priority == 0)
        #expect(nulls.queue == "default" && nulls.progress == "{}")
        // Five would be fewer than it has had.
        #expect(try await job("e").maxAttempts == 7)
        #expect(try await job("f").createdAt != nil)
        // They can still be updated: no check refuses an old value.
        try await database.run("UPDATE public.jobs SET worker_id = worker_id")
    }

    @Test func `policies of the adopted tables are replaced and kept for reading, the others stay`() async throws {
        let foreseen = try await Migrator(settings: database.settings).policiesToReplace()
        let othersBefore: [String] = try await policies(of: Self.others)
        try await migrate()
        #expect(try await policies(of: Self.adopted).allSatisfy { $0.contains("/jobworker_") })
        #expect(try await policies(of: Self.others).filter { !$0.contains("/jobworker_") } == othersBefore)
        let kept = try await database.query(
            "SELECT table_name, policy_name FROM jobworker.replaced_policies ORDER BY table_name, policy_name")
        let names = try kept.map {
            (try $0.decode("table_name", as: String.self), try $0.decode("policy_name", as: String.self))
        }
        #expect(names.map { "\($0.0)/\($0.1)" }.sorted() == foreseen.map { "public.\($0.table)/\($0.policy)" }.sorted())
        #expect(foreseen.contains { $0.policy == "System can update jobs" && $0.definition.contains("USING (true)") })
        #expect(try await Migrator(settings: database.settings).policiesToReplace().isEmpty)
    }

    private func policies(of tables: [String]) async throws -> [String] {
        try await database.query(
            """
            SELECT tablename || '/' || policyname AS name FROM pg_policies
            WHERE schemaname = 'public' AND tablename = ANY (\(tables)) ORDER BY 1
            """
        ).map { try $0.decode("name") }
    }

    @Test(arguments: [(-10, true), (10, true), (-11, false), (11, false)])
    func `priorities reach from −10 to 10`(priority: Int, isAllowed: Bool) async throws {
        try await migrate()
        let refusal = try await TestDatabase.refusal {
            try await database.query(
                """
                INSERT INTO public.jobs (workspace_id, job_type, payload, priority)
                SELECT id, 'noop', '{}', \(priority) FROM public.workspaces LIMIT 1
                """)
        }
        #expect(refusal == (isAllowed ? nil : "23514"))
    }

    @Test func `jobs are published to Realtime beside what was there`() async throws {
        try await migrate()
        let tables = try await database.query(
            "SELECT tablename::text AS name FROM pg_publication_tables WHERE pubname = 'supabase_realtime' ORDER BY 1")
        #expect(try tables.map { try $0.decode("name", as: String.self) } == ["accounts", "jobs"])
    }

    @Test func `views over the times are there again with their options, comments and grants`() async throws {
        try await migrate()
        let row = try #require(
            try await database.query(
                """
                SELECT 'security_invoker=true' = ANY (reloptions) AS invoker,
                       obj_description(oid) = 'How long finished jobs took' AS remark,
                       col_description(oid, 8) = 'From start to end of the last attempt' AS column_remark,
                       has_table_privilege('authenticated', oid, 'SELECT') AS member_reads,
                       has_table_privilege('anon', oid, 'SELECT') AS anon_reads,
                       (SELECT count(*) FROM public.job_durations) AS rows
                FROM pg_class WHERE oid = 'public.job_durations'::regclass
                """
            ).first)
        for column in ["invoker", "remark", "column_remark", "member_reads"] { #expect(try row.decode(column) == true) }
        #expect(try row.decode("anon_reads") == false)
        #expect(try row.decode("rows", as: Int.self) == 5)
        #expect(try await database.value("SELECT count(*) FROM public.slow_jobs") == 0)
    }

    @Test(arguments: [
        ("CREATE MATERIALIZED VIEW public.job_days AS SELECT created_at::date AS day FROM public.jobs", "job_days"),
        (
            "CREATE VIEW public.job_hours AS SELECT created_at AT TIME ZONE 'UTC' AS at FROM public.job_logs",
            "job_hours"
        ),
        (
            "CREATE POLICY recent ON public.accounts USING (EXISTS (SELECT FROM public.jobs WHERE created_at > now()))",
            "recent"
        ),
    ])
    func `what can't be recreated is named, and nothing has changed`(sql: String, name: String) async throws {
        try await database.run(sql)
        let policiesBefore = try await policies(of: Self.adopted)
        let error = await #expect(throws: PostgresError.self) { try await migrate() }
        #expect(error?.message.contains(name) == true && error?.hint?.contains("Drop these objects") == true)
        #expect(try await database.value("SELECT count(*) FROM public.jobworker_migrations") == 0)
        #expect(try await database.value("SELECT to_regnamespace('jobworker') IS NULL") == true)
        #expect(
            try await database.value(
                "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'public.jobs'::regclass AND attname = 'created_at'"
            )
                == "timestamp without time zone")
        #expect(try await policies(of: Self.adopted) == policiesBefore)
    }

    @Test func `the worker's login claims the application's due jobs, and only those`() async throws {
        try await migrate()
        // A server has the login once any template with the schema was made.
        try await database.run(
            "DO $$BEGIN CREATE ROLE \(TestDatabase.workerRole) LOGIN IN ROLE jobworker; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END$$"
        )
        let claimed = try await database.store().claim(.test(types: ["enrich_account", "enrich_contact"]))
        #expect(claimed.map { String($0.job.id.text.suffix(1)) }.sorted() == ["1", "3", "d", "f"])
    }
}
