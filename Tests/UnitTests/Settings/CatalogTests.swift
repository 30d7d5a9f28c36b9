import Glibc
import Testing

@testable import Settings

struct CatalogTests {
    @Test func `every documented setting is there once`() {
        let documented = """
            DATABASE_URL WORKER_LISTEN_URL MIGRATE_DATABASE_URL WORKER_ID WORKER_INSTANCE WORKER_REGION WORKER_ENV \
            WORKER_QUEUES WORKER_MAX_CONCURRENT WORKER_POLL_INTERVAL_MS WORKER_JOB_TIMEOUT_SECONDS \
            WORKER_HEARTBEAT_SECONDS WORKER_STALE_AFTER_SECONDS WORKER_SHUTDOWN_TIMEOUT_SECONDS \
            WORKER_DIAGNOSTIC_JOBS WORKER_HANDLERS WORKER_SCHEDULES WORKER_RETRY_BASE_SECONDS WORKER_RETRY_MAX_SECONDS \
            WORKER_RETRY_JITTER WORKER_RETENTION_DAYS WORKER_RETENTION_ARCHIVE WORKER_JOB_LOGS WORKER_SOCKET WORKER_HTTP_LISTEN \
            WORKER_SECRET_TOKEN SUPABASE_JWT_SECRET SUPABASE_JWKS_FILE WORKER_WEBHOOK_ALLOW_PRIVATE \
            WORKER_WEBHOOK_FAILURES_MAX WORKER_WEBHOOK_KEEP_DAYS \
            WORKER_ENCRYPTION_KEYS APOLLO_BASE_URL APOLLO_RATE_LIMIT_PER_MINUTE ENRICHMENT_CACHE_TTL_DAYS \
            WORKER_LOG_LEVEL WORKER_LOG_FORMAT WORKER_STATSD WORKER_ALERT_INTERVAL_SECONDS WORKER_ALERT_DEAD_LETTERS \
            WORKER_ALERT_QUEUE_DEPTH WORKER_ALERT_STALLED_SECONDS WORKER_ALERT_LOST_WORKERS
            """
        #expect(Catalog.all.map(\.name) == documented.split(separator: " ").map(String.init))
    }

    @Test func `the defaults are the documented ones`() throws {
        let configuration = try loadSettings([:])
        #expect(configuration[Catalog.databaseURL] == nil)
        #expect(configuration[Catalog.workerID] == nil)
        #expect(configuration[Catalog.instance] == "default")
        #expect(configuration[Catalog.region] == "local")
        #expect(configuration[Catalog.environment] == "development")
        #expect(configuration[Catalog.queues] == [QueueSelection(name: "default")])
        #expect(configuration[Catalog.maxConcurrent] == 5)
        #expect(configuration[Catalog.pollInterval] == .milliseconds(5000))
        #expect(configuration[Catalog.jobTimeout] == .seconds(900))
        #expect(configuration[Catalog.heartbeatInterval] == .seconds(15))
        #expect(configuration[Catalog.staleAfter] == .seconds(120))
        #expect(configuration[Catalog.shutdownTimeout] == .seconds(120))
        #expect(configuration[Catalog.retryDelayBase] == .seconds(60))
        #expect(configuration[Catalog.retryDelayMax] == .seconds(3600))
        #expect(configuration[Catalog.retryJitter] == 0)
        #expect(configuration[Catalog.retention] == RetentionDays())
        #expect(configuration[Catalog.secretToken].isEmpty)
        #expect(configuration[Catalog.apolloBaseURL] == "https://api.apollo.io")
        #expect(configuration[Catalog.apolloRateLimit] == 100)
        #expect(configuration[Catalog.enrichmentCacheTTL] == .seconds(2_592_000))
        #expect(configuration[Catalog.handlers] == "/etc/jobworker/handlers.d")
        #expect(configuration[Catalog.jobLogs] == .info)
        #expect(configuration[Catalog.logLevel] == .info)
        #expect(configuration[Catalog.logFormat] == .auto)
        #expect(!configuration[Catalog.webhookAllowPrivate])
        #expect(!configuration[Catalog.diagnosticJobs])
        #expect(configuration.warnings.isEmpty)
    }

    @Test(arguments: Catalog.all.map(\.name))
    func `a default that can be written is allowed`(name: String) throws {
        let setting = try #require(Catalog.setting(named: name))
        guard setting.example == setting.fallbackText else { return }
        #expect(setting.isEqual(try setting.parse(setting.fallbackText), setting.fallback))
    }

    @Test func `these are secrets`() {
        #expect(
            Catalog.all.filter(\.isSecret).map(\.name) == [
                "DATABASE_URL", "WORKER_LISTEN_URL", "MIGRATE_DATABASE_URL", "WORKER_SECRET_TOKEN",
                "SUPABASE_JWT_SECRET", "WORKER_ENCRYPTION_KEYS",
            ])
    }

    @Test(
        arguments: [
            ("WORKER_POLL_INTERVALL_MS", "WORKER_POLL_INTERVAL_MS"), ("worker_queue", "WORKER_QUEUES"),
            ("WORKER_STALE_AFTER", nil), ("PATH", nil), ("", nil), (String(repeating: "W", count: 1000), nil),
        ] as [(String, String?)])
    func `a name that was probably meant is found`(name: String, meant: String?) {
        #expect(Catalog.nearestName(to: name) == meant)
    }
}

struct SampleFileTests {
    @Test func `the packaged sample is made from the catalogue`() throws {
        var folders = #filePath.split(separator: "/")
        folders.removeLast(4)
        let path = "/" + folders.joined(separator: "/") + "/packaging/config.yaml"
        #expect(try FileText(path: path).text == Catalog.sampleFile)
    }

    @Test func `the sample has every setting, commented out`() {
        let keys = Catalog.sampleFile.split(separator: "\n").compactMap { line in
            line.hasPrefix("#") && !line.hasPrefix("# ") ? line.dropFirst().split(separator: ":").first : nil
        }
        #expect(keys.map(String.init) == Catalog.all.map(\.key))
        #expect(Catalog.sampleFile.split(separator: "\n").allSatisfy { $0.hasPrefix("#") && $0.count <= 100 })
    }

    @Test func `the sample sets nothing`() throws {
        let configuration = try SettingsFolder().load(file: Catalog.sampleFile)
        #expect(configuration.describe().allSatisfy { $0.origin == .default })
    }

    @Test func `with the comments taken away only the placeholders for secrets are refused`() throws {
        let lines = Catalog.sampleFile.split(separator: "\n", omittingEmptySubsequences: false)
        let text = lines.map { $0.hasPrefix("# ") ? $0 : $0.drop { $0 == "#" } }.joined(separator: "\n")
        let folder = try SettingsFolder()
        let file = try folder.write(text, to: "config.yaml")
        #expect(
            mistakes(Sources(environment: [:], file: file)).map(\.subject) == [
                "WORKER_SECRET_TOKEN", "WORKER_ENCRYPTION_KEYS",
            ])
    }
}
