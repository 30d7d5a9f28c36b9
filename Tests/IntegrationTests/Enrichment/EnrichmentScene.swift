import Development
import Enrichment
import FoundationEssentials
import HTTPClient
import JobWorker
import Logging
import Postgres
import Support
import Testing

/// The two kinds of rows that are enriched, for what holds for both.
enum Kind: String, CaseIterable, Sendable {
    case account, contact

    var jobType: String { "enrich_\(rawValue)" }
    var table: String { "public.\(rawValue)s" }
    /// As users read it.
    var name: String { self == .account ? "Account" : "Contact" }
    var endpoint: String { self == .account ? "organizations/enrich" : "people/match" }
    var noMatch: String {
        """
        No \(self == .account ? "organization" : "person") data found. Apollo has no match and charged nothing; it is \
        asked again after an hour at the earliest.
        """
    }
}

/// A workspace with an Apollo key, a stand-in for Apollo behind a socket, and workers that enrich.
struct EnrichmentScene: Sendable {
    let database: TestDatabase
    let vault: KeyVault
    /// Of this scene alone: the stand-in counts by key.
    let key: String
    /// Without a trailing slash.
    let apollo: String
    var configuration = EnrichmentService.Configuration()

    private static let shared = Task { try await Standin.start() }
    static let client = Client()

    /// - Parameters:
    ///   - standin: One with limits of its own; else the one that all tests share.
    ///   - answers: How the stand-in treats the key: `good`, `bad`, `forbidden`, `broke`.
    init(standin: Standin? = nil, answers: String = "good") async throws {
        database = TestDatabase.current
        vault = try KeyVault(parsing: KeyVault.generateKey(id: "test"))
        key = EnrichmentScene.newKey(answers)
        if let standin { apollo = standin.url } else { apollo = try await EnrichmentScene.shared.value.url }
        configuration.apolloBaseURL = apollo
        try await store(key: key)
    }

    static func newKey(_ answers: String = "good") -> String {
        "\(answers)-canary-\(String(UInt64.random(in: 1 << 60 ... .max), radix: 36))"
    }

    // MARK: Rows

    /// Stores a key as the settings page does; `nil` removes it.
    func store(key: String?, workspace: UUID = TestDatabase.workspace) async throws {
        let sealed = try key.map { try vault.seal(#require(APIKey($0)), workspace: workspace) }
        try await store(sealed: sealed, workspace: workspace)
    }

    /// Writes the settings' column as it is.
    func store(sealed: String?, workspace: UUID = TestDatabase.workspace) async throws {
        try await database.query(
            """
            INSERT INTO public.workspace_settings (workspace_id, apollo_api_key_encrypted)
            VALUES (\(workspace), \(sealed))
            ON CONFLICT (workspace_id) DO UPDATE SET apollo_api_key_encrypted = excluded.apollo_api_key_encrypted
            """)
    }

    func insertWorkspace(key: String?) async throws -> UUID {
        let workspace = try await database.insertWorkspace()
        try await store(key: key, workspace: workspace)
        return workspace
    }

    /// An account of this domain, or a contact with an address there.
    func insert(_ kind: Kind, at domain: String, workspace: UUID = TestDatabase.workspace) async throws -> UUID {
        switch kind {
        case .account:
            try await database.insertAccount(domain: domain, workspace: workspace)
        case .contact:
            try await database.insertContact(
                email: "kim.canary@\(domain)", linkedIn: "https://www.linkedin.example.com/in/kim-canary",
                workspace: workspace)
        }
    }

    /// Adds a job for a row.
    func enqueue(
        _ kind: Kind, _ row: UUID, with fields: [String: JSONValue] = [:], workspace: UUID = TestDatabase.workspace,
        maxAttempts: Int = 5, timeout: Duration? = nil
    ) async throws -> UUID {
        let payload = fields.merging(["\(kind.rawValue)_id": .string(row.text)]) { given, _ in given }
        return try await database.insertJob(
            kind.jobType, workspace: workspace, payload: JSONText(encoding: payload).text, maxAttempts: maxAttempts,
            timeout: timeout)
    }

    /// The columns of a row that aren't NULL, apart from its time stamps and what only the application has.
    func row(_ kind: Kind, _ id: UUID) async throws -> [String: JSONValue] {
        let text = try await database.value(
            """
            SELECT (jsonb_strip_nulls(to_jsonb(enriched)) - 'created_at' - 'updated_at' - 'last_enriched_at'
                    - 'tech_stack_last_updated' - 'custom_fields' - 'tags')::text
            FROM \(sql: kind.table) AS enriched WHERE id = \(id)
            """, as: String.self)
        return try JSONText(#require(text)).decode([String: JSONValue].self)
    }

    func isEnriched(_ kind: Kind, _ id: UUID) async throws -> Bool {
        try await database.count("id = '\(id.text)' AND last_enriched_at IS NOT NULL", of: kind.table) == 1
    }

    func creditsUsed(_ workspace: UUID = TestDatabase.workspace) async throws -> Int? {
        try await database.value(
            "SELECT enrichment_credits_used FROM public.workspace_settings WHERE workspace_id = \(workspace)")
    }

    func result(_ job: UUID) async throws -> JSONValue {
        try JSONText(#require(await database.job(job).result)).decode()
    }

    // MARK: Running

    /// The processors of one worker process.
    func service(pool: ConnectionPool? = nil) -> EnrichmentService {
        EnrichmentService(
            pool: pool ?? database.workerPool, client: EnrichmentScene.client, vault: vault,
            configuration: configuration)
    }

    func withWorker<Value: Sendable>(
        change: (inout WorkerConfiguration) -> Void = { _ in }, logger: Logger = .silent,
        _ body: (JobWorker::JobWorker) async throws -> Value
    ) async throws -> Value {
        let service = service()
        return try await database.withWorker(
            EnrichAccount(service: service), EnrichContact(service: service), change: change, logger: logger, body)
    }

    /// Runs a worker until each of these jobs has ended, or waits for a later time.
    func run(_ jobs: UUID..., logger: Logger = .silent) async throws {
        try await withWorker(logger: logger) { _ in try await waitUntilSettled(jobs) }
    }

    func waitUntilSettled(_ jobs: [UUID]) async throws {
        let ids = jobs.map { "'\($0.text)'" }.joined(separator: ", ")
        try await database.waitUntil(
            """
            NOT EXISTS (SELECT FROM public.jobs WHERE id IN (\(ids))
                AND (lease_open OR status = 'processing' OR status = 'pending' AND error_message IS NULL))
            """, of: "(SELECT) AS once", atMost: .seconds(60))
    }

    /// Runs a new job for a new row of this domain.
    func attempt(_ kind: Kind, at domain: String, maxAttempts: Int = 5, timeout: Duration? = nil) async throws -> UUID {
        let row = try await insert(kind, at: domain)
        let job = try await enqueue(kind, row, maxAttempts: maxAttempts, timeout: timeout)
        try await run(job)
        return job
    }

    /// As if the time had come for which a job waits.
    func makeDue(_ jobs: UUID...) async throws {
        try await database.query(
            "UPDATE public.jobs SET next_retry_at = NULL, error_message = NULL WHERE id = ANY(\(jobs))")
    }

    // MARK: Looking

    /// What the stand-in counted: `{"requests":n,"credits":n,"statuses":{…},…}`.
    func ledger() async throws -> JSONValue {
        let response = try await EnrichmentScene.client.send(Request(url: apollo + "/standin/requests"))
        return try JSONText(String(decoding: response.body, as: UTF8.self)).decode()
    }

    /// How often Apollo was asked with this key.
    func requests(key: String? = nil) async throws -> Int64 {
        try await ledger()["keys"]?[String((key ?? self.key).suffix(4))]?["requests"]?.integer ?? 0
    }

    /// Members read a job's errors and log: neither keys nor personal data may stand there.
    func expectDiscreet(_ job: UUID, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let text = try await database.value(
            """
            SELECT (to_jsonb(jobs) - 'payload' - 'result')::text
                || coalesce((SELECT string_agg(to_jsonb(log)::text, '') FROM public.job_logs AS log
                             WHERE log.job_id = jobs.id), '')
            FROM public.jobs WHERE id = \(job)
            """, as: String.self)
        let readable = try #require(text, sourceLocation: sourceLocation)
        let secrets = [key, Data(key.utf8).base64EncodedString(), "@", "%40", "linkedin.example", "kim-canary"]
        for secret in secrets {
            #expect(!readable.contains(secret), "\(readable)", sourceLocation: sourceLocation)
        }
    }
}
