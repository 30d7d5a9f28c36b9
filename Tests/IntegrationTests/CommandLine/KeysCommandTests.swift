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
        #expect(try await database.count("action = 'settings.change' AND via = 'cli'", of: "public.job_audit") == 1)

        let both = ["WORKER_ENCRYPTION_KEYS": "\(try await generated("second")),\(first)"]
        let rotated = try await CommandRun.of("keys", "rotate", database: database, environment: both)
        #expect(rotated.status == 0 && rotated.output == "1 encrypted anew\n")
        let check = try await CommandRun.of("keys", "check", "--json", database: database, environment: both)
        #expect(check.status == 0)
        #expect(try check.json()["encrypted"] == ["second": 1])
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
