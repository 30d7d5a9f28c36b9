import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing

@Suite(.database()) struct KeysCommandTests {
    let database = TestDatabase.current
    let workspace = TestDatabase.workspace.text

    private func generated(_ id: String) async throws -> String {
        let run = try await CommandRun.of("keys", "generate", "--id", id)
        #expect(run.status == 0)
        return String(try #require(run.lines.first))
    }

    @Test func `a key is set from standard input, checked, and moved to a new encryption key`() async throws {
        let first = try await generated("first")
        let secret = "sk-very-secret-1234"
        let set = try await CommandRun.of(
            "keys", "set-apollo", "--workspace", workspace, database: database,
            environment: ["WORKER_ENCRYPTION_KEYS": first], input: secret + "\n")
        #expect(set.status == 0 && set.output.contains("ends in 1234"))
        #expect(!(set.output + set.error).contains(secret))
        let stored = try await database.value(
            "SELECT apollo_api_key_encrypted FROM public.workspace_settings", as: String.self)
        #expect(stored?.hasPrefix("v1:first:") == true)
        #expect(try await database.count("action = 'settings.add' AND via = 'cli'", of: "public.job_audit") == 1)

        let both = ["WORKER_ENCRYPTION_KEYS": "\(try await generated("second")),\(first)"]
        let rotated = try await CommandRun.of("keys", "rotate", database: database, environment: both)
        #expect(rotated.status == 0 && rotated.output == "1 encrypted anew\n")
        let check = try await CommandRun.of("keys", "check", "--json", database: database, environment: both)
        #expect(check.status == 0)
        #expect(try check.json()["encrypted"] == ["second": 1])
    }

    @Test(arguments: ["TERM", "KILL"])
    func `a rotation that is stopped midway leaves what is done done, and goes on when it is run again`(
        signal: String
    ) async throws {
        let old = try await generated("old")
        let vault = try KeyVault(parsing: old)
        var workspaces: [UUID] = []
        for number in 0..<250 {
            // In the order in which they are rotated, 200 at a time.
            let hex = String(number, radix: 16)
            let start = String(repeating: "0", count: 8 - hex.count) + hex
            let id = try #require(UUID(uuidString: "\(start)-0000-4000-8000-000000000000"))
            try await database.query(
                "INSERT INTO public.workspaces (id, name, slug) VALUES (\(id), 'x', \(id.text))")
            let sealed = try vault.seal(#require(APIKey("canary-api-key-\(number)")), workspace: id)
            try await database.query(
                """
                INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted)
                VALUES (\(id), \(sealed))
                """)
            workspaces.append(id)
        }
        let folder = try Folder()
        let go = "\(folder.path)/go"
        let both = "\(try await generated("new")),\(old)"
        let program = BuiltProgram.path("jobworker")
        let (database, last) = (database, workspaces[249])
        let stopped = try await database.pool.withConnection { connection in
            // The second batch waits for this row.
            _ = try await connection.query("BEGIN")
            _ = try await connection.query(
                "SELECT FROM public.workspace_settings WHERE workspace_id = \(last) FOR UPDATE")
            async let run = CommandRun.shell(
                """
                export WORKER_ENCRYPTION_KEYS='\(both)'
                \(program) keys rotate & process=$!
                until [[ -e \(go) ]]; do sleep 0.1; done
                kill -\(signal) $process; wait $process
                """, database: database)
            try await database.waitUntil(
                """
                wait_event_type = 'Lock' AND query LIKE '%jobworker:enrichment.rotate_keys%'
                AND datname = current_database()
                """, of: "pg_stat_activity")
            _ = try folder.write("", to: "go")
            let ended = try await run
            _ = try await connection.query("COMMIT")
            return ended
        }
        #expect(stopped.status == (signal == "TERM" ? 130 : 137))
        #expect(stopped.error.contains("200 of 250"))
        if signal == "TERM" { #expect(stopped.error.contains("goes on with the rest")) }
        let under: Statement =
            """
            SELECT count(*) FROM public.workspace_settings WHERE starts_with(apollo_api_key_encrypted, 'v1:new:')
            """
        #expect(try await database.value(under, as: Int.self) == 200)

        let keys = ["WORKER_ENCRYPTION_KEYS": both]
        let rest = try await CommandRun.of("keys", "rotate", database: database, environment: keys)
        #expect(rest.status == 0 && rest.output == "50 encrypted anew\n")
        let check = try await CommandRun.of(
            "keys", "check", "--offline", "--json", database: database, environment: keys)
        #expect(try check.json()["encrypted"] == ["new": 250])
        // Each stands in the audit once.
        #expect(
            try await database.value(
                "SELECT count(DISTINCT workspace_id) FROM public.job_audit WHERE action = 'settings.rotate_key'",
                as: Int.self)
                == 250)
        #expect(try await database.count("action = 'settings.rotate_key'", of: "public.job_audit") == 250)
    }

    @Test func `a key that can't be decrypted is 1`() async throws {
        try await database.run(
            """
            INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted)
            VALUES ('\(workspace)', 'v1:gone:AAAA')
            """)
        let run = try await CommandRun.of("keys", "check", database: database)
        #expect(run.status == 1 && run.output.contains(workspace))
    }

    @Test func `without an encryption key nothing is stored`() async throws {
        let run = try await CommandRun.of(
            "keys", "set-apollo", "--workspace", workspace, database: database, input: "secret")
        #expect(run.status == 78 && run.error.contains("WORKER_ENCRYPTION_KEYS"))
    }

    @Test func `a workspace that doesn't exist is 2, a key that is none is 64`() async throws {
        let keys = ["WORKER_ENCRYPTION_KEYS": try await generated("a")]
        let missing = try await CommandRun.of(
            "keys", "set-apollo", "--workspace", UUID().text, database: database, environment: keys, input: "secret")
        #expect(missing.status == 2)
        let none = try await CommandRun.of(
            "keys", "set-apollo", "--workspace", workspace, database: database, environment: keys, input: "a b\n")
        #expect(none.status == 64)
    }
}
