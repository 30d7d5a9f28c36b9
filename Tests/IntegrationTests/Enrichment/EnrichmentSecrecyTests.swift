import Enrichment
import FoundationEssentials
import JobWorker
import Logging
import Postgres
import Support
import Synchronization
import Testing

/// A canary in the place of the key, and one in the place of a person: neither may turn up where it doesn't belong.
@Suite(.database()) struct EnrichmentSecrecyTests {
    let database = TestDatabase.current

    /// Runs a job of each kind for answers of each kind, some of which quote what was asked.
    private func run(_ scene: EnrichmentScene, logger: Logger) async throws {
        for domain in [
            "match.example.com", "nobody.test", "echo-422.test", "echo-500.test", "echo-429.test", "html.test",
            "reset.test", "limit.test",
        ] {
            for kind in Kind.allCases {
                let row = try await scene.insert(kind, at: domain)
                let job = try await scene.enqueue(kind, row)
                try await scene.run(job, logger: logger)
            }
        }
        // Last, as they are remembered.
        try await database.query("UPDATE public.rate_limits SET blocked_until = NULL")
        for domain in ["echo-401.test", "after.example.com"] {
            for kind in Kind.allCases {
                let row = try await scene.insert(kind, at: domain)
                try await scene.run(try await scene.enqueue(kind, row), logger: logger)
            }
        }
        let bad = try await scene.enqueue(
            .contact, UUID(), with: ["email": "kim canary@", "linkedin_url": "linkedin.example.com/in/kim-canary"])
        try await scene.run(bad, logger: logger)
    }

    private func tables() async throws -> [String] {
        try await database.query(
            """
            SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
            WHERE table_schema IN ('public', 'jobworker', 'auth') AND table_type = 'BASE TABLE'
            """
        ).map { try $0.decode("name") }
    }

    @Test func `the key stands in no table, no error and no line of the log`() async throws {
        let scene = try await EnrichmentScene()
        let record = LogRecord()
        try await run(scene, logger: record.logger)
        // The admin's own change is audited.
        let admin = try await database.insertMember(role: "admin")
        let sealed = try scene.vault.seal(#require(APIKey(scene.key)), workspace: TestDatabase.workspace)
        _ = try await database.asUser(admin) { connection in
            try connection.execute(
                """
                UPDATE public.workspace_settings SET apollo_api_key_encrypted = \(sealed)
                WHERE workspace_id = \(TestDatabase.workspace)
                """)
        }
        #expect(try await database.count("true", of: "public.job_audit") > 0)

        let tables = try await tables()
        #expect(tables.contains("public.job_logs") && tables.contains("public.job_audit"))
        let base64 = Data(scene.key.utf8).base64EncodedString()
        for table in tables {
            for secret in [scene.key, base64] {
                #expect(
                    try await database.count("found::text LIKE '%\(secret)%'", of: "\(table) AS found") == 0, "\(table)"
                )
            }
            // Even encrypted, it is in the settings alone.
            if table != "public.workspace_settings" {
                #expect(
                    try await database.count("found::text LIKE '%v1:test:%'", of: "\(table) AS found") == 0, "\(table)")
            }
        }
        let lines = record.lines
        #expect(lines.contains { $0.contains("job completed") } && lines.contains { $0.contains("job failed") })
        for secret in [scene.key, base64, "v1:test:"] {
            #expect(!lines.contains { $0.contains(secret) })
        }
    }

    @Test func `a person's addresses stand in no log, no error and no audit`() async throws {
        let scene = try await EnrichmentScene()
        let record = LogRecord()
        try await run(scene, logger: record.logger)
        for word in ["kim.canary", "kim-canary", "linkedin.example"] {
            for table in ["public.job_logs", "public.job_audit", "public.rate_limits", "public.job_workers"] {
                #expect(
                    try await database.count("found::text LIKE '%\(word)%'", of: "\(table) AS found") == 0, "\(table)")
            }
            #expect(
                try await database.count(
                    "concat_ws(' ', error_message, error_stack, progress) LIKE '%\(word)%'") == 0)
            #expect(!record.lines.contains { $0.contains(word) })
        }
    }
}

/// Keeps what is logged, from trace on.
private final class LogRecord: Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }
    var logger: Logger { Logger(label: "test", factory: { _ in Handler(record: self) }) }

    private struct Handler: LogHandler {
        let record: LogRecord
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        init(record: LogRecord) { self.record = record }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
            let line = "\(event.level) \(event.message) \(all) \(event.error.map { "\($0)" } ?? "")"
            record.kept.withLock { $0.append(line) }
        }
    }
}
