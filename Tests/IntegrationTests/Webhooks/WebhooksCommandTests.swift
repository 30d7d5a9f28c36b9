import Enrichment
import FoundationEssentials
import JobWorker
import Postgres
import Support
import Testing
import Webhooks

@Suite(.database(), .timeLimit(.minutes(5))) struct WebhooksCommandTests {
    let database = TestDatabase.current
    private let keys = KeyVault.generateKey(id: "k1")

    private func webhooks(_ arguments: String...) async throws -> CommandRun {
        try await CommandRun.of(
            arguments: ["webhooks"] + arguments, database: database, environment: ["WORKER_ENCRYPTION_KEYS": keys])
    }

    @Test func `an endpoint is added, listed, disabled, enabled, tested and removed`() async throws {
        let added = try await webhooks(
            "add", "https://example.com/hook", "--workspace", TestDatabase.workspace.text, "--event",
            "job.failed,job.dead_letter", "--type", "mail", "--json")
        #expect(added.status == 0, "\(added.error)")
        let id = try #require(try added.json()["id"]?.string)
        let secret = try #require(try added.json()["secret"]?.string)
        #expect(WebhookSecret(secret) != nil)
        let stored = try #require(
            try await database.value("SELECT secret_encrypted FROM public.webhook_endpoints", as: String.self))
        let vault = try KeyVault(parsing: keys)
        #expect(
            try WebhookSecret(stored: stored, vault: vault, workspace: TestDatabase.workspace).reveal() == secret)

        let listed = try await webhooks("list")
        #expect(listed.output.contains("https://example.com/hook") && listed.output.contains("job.failed"))
        #expect(!listed.output.contains("whsec_"))
        #expect(try await webhooks("disable", id).output.contains("disabled"))
        #expect(try await webhooks("test", id).status == 1)
        #expect(try await webhooks("enable", id).status == 0)
        let test = try await webhooks("test", id, "--wait", "1s")
        #expect(test.status == 1 && test.output.contains("pending"))
        #expect(test.error.contains("No worker has sent it yet"))
        #expect(try await webhooks("deliveries", id, "--json").json()["deliveries"]?.array?.count == 1)
        let removed = try await webhooks("remove", id)
        #expect(removed.status == 0 && removed.output.contains(id))
        for verb in ["test", "enable", "disable", "remove"] {
            #expect(try await webhooks(verb, id).status == 2, "\(verb)")
        }
        #expect(try await webhooks("redeliver", id).status == 2)
        let left = try await database.query("SELECT action FROM public.job_audit WHERE via = 'cli' ORDER BY id")
        #expect(
            try left.map { try $0.decode("action", as: String.self) } == [
                "webhook.add", "webhook.change", "webhook.change", "webhook.test", "webhook.delete",
            ])
    }

    @Test func `what can't be added is refused`() async throws {
        let workspace = TestDatabase.workspace.text
        #expect(try await webhooks("add", "mailto:x", "--workspace", workspace).status == 64)
        #expect(try await webhooks("add", "https://example.com", "--workspace", UUID().text).status == 64)
        #expect(
            try await webhooks("add", "https://example.com", "--workspace", workspace, "--event", "job.x").status == 64)
        let keyless = try await CommandRun.of(
            "webhooks", "add", "https://example.com", "--workspace", workspace, database: database)
        #expect(keyless.status == 78)
    }

    @Test func `the rotation of keys covers secrets of webhooks`() async throws {
        let scene = try WebhookScene(database)
        let old = KeyVault.generateKey(id: "old")
        let both = try KeyVault(parsing: "\(KeyVault.generateKey(id: "new")),\(old)")
        let sealed = try scene.secret.sealed(by: try KeyVault(parsing: old), workspace: TestDatabase.workspace)
        for stored in [sealed, "v1:gone:AAAA"] {
            try await database.query(
                """
                INSERT INTO public.webhook_endpoints (workspace_id, url, secret_encrypted)
                VALUES (\(TestDatabase.workspace), 'https://example.com/', \(stored))
                """)
        }
        let rotation = KeyRotation(pool: database.workerPool, vault: both)
        #expect(try await rotation.survey().encryptedSecrets == ["old": 1])
        let report = try await rotation.run()
        #expect(report.found == 2 && report.rotated == 1 && report.unreadableWebhooks.count == 1)
        #expect(report.unreadable.isEmpty)
        let now = try #require(
            try await database.value(
                "SELECT secret_encrypted FROM public.webhook_endpoints WHERE secret_encrypted LIKE 'v1:new:%'",
                as: String.self))
        #expect(
            try WebhookSecret(stored: now, vault: both, workspace: TestDatabase.workspace).reveal()
                == scene.secret.reveal())
        // A secret opens in its own column and workspace alone.
        #expect(throws: KeyVaultError.unreadable) { try both.open(now, workspace: TestDatabase.workspace) }
        #expect(throws: KeyVaultError.unreadable) {
            try WebhookSecret(stored: now, vault: both, workspace: UUID())
        }
    }
}
