/// Every setting, declared once. Help, manual, sample file and reports are made from it or checked against it.
public enum Catalog {
    // MARK: Database

    public static let databaseURL: Setting<Secret?> = .init(
        "DATABASE_URL", absent: "libpq's PG* variables",
        example: "postgresql://jobworker@db.example.com/jobs", .connection, reload: .restart, isSecret: true,
        help: """
            The database. Several hosts with target_session_attrs=read-write fail over from one to the other.
            """)

    public static let listenURL: Setting<Secret?> = .init(
        "WORKER_LISTEN_URL", absent: "as DATABASE_URL",
        example: "postgresql://jobworker@db.example.com:5432/jobs", .connection, reload: .restart, isSecret: true,
        help: "A direct connection for LISTEN, where DATABASE_URL goes through a pooler of transactions.")

    public static let migrateDatabaseURL: Setting<Secret?> = .init(
        "MIGRATE_DATABASE_URL", absent: "as DATABASE_URL",
        example: "postgresql://owner@db.example.com/jobs", .connection, reload: .restart, isSecret: true,
        help: "The database as its owner sees it, for 'jobworker migrate' alone.")

    // MARK: Identity

    public static let workerID: Setting<String?> = .init(
        "WORKER_ID", absent: "host, process and a random part",
        example: "host-1-a", .label(max: 100), reload: .restart,
        help: "Unique per process; stands in jobs.worker_id.")

    public static let instance: Setting<String> = .init(
        "WORKER_INSTANCE", fallback: "default", .fileNameWord(max: 64), reload: .restart,
        help: """
            Stable name of this worker on its host: after a crash its successor takes its jobs back at once. \
            Two workers of one host need two names.
            """)

    public static let region: Setting<String> = .init(
        "WORKER_REGION", fallback: "local", .label(max: 100), reload: .restart,
        help: "Where this worker runs; shown in health.")

    public static let environment: Setting<String> = .init(
        "WORKER_ENV", fallback: "development", .label(max: 100), reload: .restart,
        help: "What this worker is for, as production or staging; shown in health.")

    // MARK: Running jobs

    public static let queues: Setting<[QueueSelection]> = .init(
        "WORKER_QUEUES", fallback: [QueueSelection(name: "default")], .queues, reload: .live,
        help: "The queues to serve, each with the most of its jobs at once in this process if that is to be limited.")

    public static let maxConcurrent: Setting<Int> = .init(
        "WORKER_MAX_CONCURRENT", fallback: 5, .whole(1...10_000), reload: .live,
        help: "Most jobs running at once in this process.")

    public static let pollInterval: Setting<Duration> = .init(
        "WORKER_POLL_INTERVAL_MS", fallback: .seconds(5), .milliseconds(50...300_000), reload: .live,
        help: "Longest wait, in milliseconds, before an idle worker looks for due jobs; a NOTIFY wakes it sooner.")

    public static let jobTimeout: Setting<Duration> = .init(
        "WORKER_JOB_TIMEOUT_SECONDS", fallback: .seconds(900), .seconds(0.1...2_592_000), reload: .live,
        help: "Longest time for an attempt, in seconds, unless the job says otherwise.")

    public static let heartbeatInterval: Setting<Duration> = .init(
        "WORKER_HEARTBEAT_SECONDS", fallback: .seconds(15), .seconds(0.1...3600), reload: .restart,
        help: "Seconds between two signs of life of a running job.")

    public static let staleAfter: Setting<Duration> = .init(
        "WORKER_STALE_AFTER_SECONDS", fallback: .seconds(120), .seconds(0.2...86_400), reload: .restart,
        help: """
            Seconds without a sign of life after which a job is taken back, its attempt counted. At least twice \
            WORKER_HEARTBEAT_SECONDS.
            """)

    public static let shutdownTimeout: Setting<Duration> = .init(
        "WORKER_SHUTDOWN_TIMEOUT_SECONDS", fallback: .seconds(120), .seconds(0...86_400), reload: .live,
        help: "Seconds for running jobs to end after SIGTERM; then they are given back. 0 gives them back at once.")

    public static let diagnosticJobs: Setting<Bool> = .init(
        "WORKER_DIAGNOSTIC_JOBS", fallback: false, .boolean, reload: .restart,
        help: "Adds the job types noop, sleep, fail and progress, for trying things out.")

    public static let handlers: Setting<String> = .init(
        "WORKER_HANDLERS", fallback: "/etc/jobworker/handlers.d", .path("a directory's path"), reload: .live,
        help:
            "Directory with the job types that programs or HTTP endpoints serve; read at the start and at each reload.")

    public static let schedules: Setting<String> = .init(
        "WORKER_SCHEDULES", fallback: "/etc/jobworker/schedules.d", .path("a directory's path"), reload: .live,
        help: "Directory with recurring jobs, in YAML files; read at the start and at each reload.")

    // MARK: Failing, and what remains

    public static let retryDelayBase: Setting<Duration> = .init(
        "WORKER_RETRY_BASE_SECONDS", fallback: .seconds(60), .seconds(0...86_400), reload: .live,
        help: "Seconds before the second attempt; doubled for each one after it.")

    public static let retryDelayMax: Setting<Duration> = .init(
        "WORKER_RETRY_MAX_SECONDS", fallback: .seconds(3600), .seconds(0...604_800), reload: .live,
        help: "Most seconds before a further attempt. At least WORKER_RETRY_BASE_SECONDS.")

    public static let retryJitter: Setting<Double> = .init(
        "WORKER_RETRY_JITTER", fallback: 0, .decimal(0...1), reload: .live,
        help: "Greatest share added to the delay at random, so that jobs that failed together don't return together.")

    public static let retention: Setting<RetentionDays> = .init(
        "WORKER_RETENTION_DAYS", fallback: RetentionDays(), .retention, reload: .live,
        help: "Days after which finished jobs are deleted, by status; 0, and a status not named, keeps them.")

    public static let retentionArchive: Setting<Bool> = .init(
        "WORKER_RETENTION_ARCHIVE", fallback: false, .boolean, reload: .live,
        help: "Keeps what WORKER_RETENTION_DAYS deletes in jobs_archive, a table with a part for each month.")

    public static let jobLogs: Setting<JobLogLevelName> = .init(
        "WORKER_JOB_LOGS", fallback: .info, .choice(synonyms: ["warning": .warn]), reload: .live,
        help: "Lowest level of the rows about a job's course that are written to job_logs.")

    // MARK: HTTP

    public static let socket: Setting<String?> = .init(
        "WORKER_SOCKET", absent: "worker.sock in the runtime directory",
        example: "/run/jobworker/worker.sock",
        .path("a path", bytesMax: socketPathBytesMax), reload: .restart,
        help: "Unix socket of the control plane; a socket passed by systemd wins.")

    public static let httpListen: Setting<HostPort?> = .init(
        "WORKER_HTTP_LISTEN", absent: "none",
        example: "127.0.0.1:8080", .listenAddress, reload: .restart,
        help: "Address on which the control plane listens besides its socket.")

    public static let secretToken: Setting<[OperatorToken]> = .init(
        "WORKER_SECRET_TOKEN", fallback: [], example: "alice:…", .tokens, reload: .live, isSecret: true,
        help: "Bearer tokens of operators. Without one, everything that needs it answers 503.")

    public static let supabaseJWTSecret: Setting<Secret?> = .init(
        "SUPABASE_JWT_SECRET", absent: "none",
        example: "", .passphrase, reload: .live, isSecret: true,
        help: "Verifies the tokens of workspace members that are signed with HS256.")

    public static let supabaseJWKSFile: Setting<String?> = .init(
        "SUPABASE_JWKS_FILE", absent: "none",
        example: "/etc/jobworker/jwks.json", .path("a file's path"), reload: .live,
        help: "File with the public keys (JWKS) that verify the tokens of workspace members; a reload reads it again.")

    public static let webhookAllowPrivate: Setting<Bool> = .init(
        "WORKER_WEBHOOK_ALLOW_PRIVATE", fallback: false, .boolean, reload: .live,
        help: "Lets webhooks reach private and loopback addresses.")

    public static let webhookFailuresMax: Setting<Int> = .init(
        "WORKER_WEBHOOK_FAILURES_MAX", fallback: 100, .whole(1...1_000_000), reload: .live,
        help: """
            So many failed tries of a webhook's endpoint, one after the other, disable it. 100 take about a day, as the \
            pauses between them grow to 15 minutes.
            """)

    public static let webhookKeep: Setting<Duration> = .init(
        "WORKER_WEBHOOK_KEEP_DAYS", fallback: .seconds(30 * 86_400), .days(1...3650), reload: .live,
        help: "Days for which deliveries of webhooks are kept once they are settled.")

    // MARK: Enrichment

    public static let encryptionKeys: Setting<EncryptionKeys?> = .init(
        "WORKER_ENCRYPTION_KEYS", absent: "none",
        example: "first:…", .encryptionKeys, reload: .restart, isSecret: true,
        help: """
            Keys for what is stored encrypted: the first encrypts, all decrypt. 'jobworker keys generate' makes one.
            """)

    public static let apolloBaseURL: Setting<String> = .init(
        "APOLLO_BASE_URL", fallback: "https://api.apollo.io", .webAddress, reload: .restart,
        help: "Where Apollo.io's API is.")

    public static let apolloRateLimit: Setting<Int> = .init(
        "APOLLO_RATE_LIMIT_PER_MINUTE", fallback: 100, .whole(1...100_000), reload: .live,
        help: "Most calls of Apollo.io a minute, for each workspace, over all workers.")

    public static let enrichmentCacheTTL: Setting<Duration> = .init(
        "ENRICHMENT_CACHE_TTL_DAYS", fallback: .seconds(30 * 86_400), .days(0...3650), reload: .live,
        help: "Days for which an answer of Apollo.io is used again; 0 asks every time.")

    // MARK: Watching

    public static let logLevel: Setting<LogLevelName> = .init(
        "WORKER_LOG_LEVEL", fallback: .info, .choice(synonyms: ["warn": .warning]), reload: .live,
        help: "Lowest level of what is logged.")

    public static let logFormat: Setting<LogFormatName> = .init(
        "WORKER_LOG_FORMAT", fallback: .auto, .choice(), reload: .restart,
        help: "How it is logged; auto means fields of the journal under systemd, text on a terminal, else JSON.")

    public static let alertInterval: Setting<Duration> = .init(
        "WORKER_ALERT_INTERVAL_SECONDS", fallback: .seconds(15), .seconds(1...3600), reload: .live,
        help: "Seconds between two looks for what administrators are to be alerted to; one worker looks for all.")

    public static let alertDeadLetters: Setting<Int> = .init(
        "WORKER_ALERT_DEAD_LETTERS", fallback: 1, .whole(0...10_000), reload: .live,
        help: """
            Alerts when so many jobs of a type were set aside as dead letters within an hour and are not settled; 0 \
            doesn't.
            """)

    public static let alertQueueDepth: Setting<Int> = .init(
        "WORKER_ALERT_QUEUE_DEPTH", fallback: 10_000, .whole(0...1_000_000), reload: .live,
        help: """
            Alerts when so many jobs of a queue are due. Each look counts no further than this; 0 doesn't look.
            """)

    public static let alertStalled: Setting<Duration> = .init(
        "WORKER_ALERT_STALLED_SECONDS", fallback: .seconds(1800), .seconds(0...604_800), reload: .live,
        help: """
            Alerts when a job of a queue has been due, and none of the queue's jobs completed, for so many seconds; 0 \
            doesn't. Longer than jobs usually take.
            """)

    public static let alertLostWorkers: Setting<Bool> = .init(
        "WORKER_ALERT_LOST_WORKERS", fallback: true, .boolean, reload: .live,
        help: "Alerts when a worker falls silent without having said that it stops.")

    public static let statsd: Setting<StatsdAddress?> = .init(
        "WORKER_STATSD", absent: "none", example: "127.0.0.1:8125", .statsd, reload: .restart,
        help: "Where figures are sent to in the format of DogStatsD.")

    // MARK: All

    /// Settings of one subject.
    public struct Section: Sendable {
        public let title: String
        public let settings: [AnySetting]
    }

    /// Every setting, in the order in which people should read them.
    public static let sections: [Section] = [
        Section(
            title: "Database",
            settings: [
                AnySetting(databaseURL), AnySetting(listenURL), AnySetting(migrateDatabaseURL),
            ]),
        Section(
            title: "Identity",
            settings: [
                AnySetting(workerID), AnySetting(instance), AnySetting(region), AnySetting(environment),
            ]),
        Section(
            title: "Running jobs",
            settings: [
                AnySetting(queues), AnySetting(maxConcurrent), AnySetting(pollInterval),
                AnySetting(jobTimeout), AnySetting(heartbeatInterval), AnySetting(staleAfter),
                AnySetting(shutdownTimeout), AnySetting(diagnosticJobs), AnySetting(handlers), AnySetting(schedules),
            ]),
        Section(
            title: "Failing, and what remains",
            settings: [
                AnySetting(retryDelayBase), AnySetting(retryDelayMax), AnySetting(retryJitter),
                AnySetting(retention), AnySetting(retentionArchive), AnySetting(jobLogs),
            ]),
        Section(
            title: "HTTP",
            settings: [
                AnySetting(socket), AnySetting(httpListen), AnySetting(secretToken),
                AnySetting(supabaseJWTSecret), AnySetting(supabaseJWKSFile), AnySetting(webhookAllowPrivate),
                AnySetting(webhookFailuresMax), AnySetting(webhookKeep),
            ]),
        Section(
            title: "Enrichment",
            settings: [
                AnySetting(encryptionKeys), AnySetting(apolloBaseURL), AnySetting(apolloRateLimit),
                AnySetting(enrichmentCacheTTL),
            ]),
        Section(
            title: "Watching",
            settings: [
                AnySetting(logLevel), AnySetting(logFormat), AnySetting(statsd), AnySetting(alertInterval),
                AnySetting(alertDeadLetters), AnySetting(alertQueueDepth), AnySetting(alertStalled),
                AnySetting(alertLostWorkers),
            ]),
    ]

    /// Every setting, as in `sections`.
    public static let all: [AnySetting] = sections.flatMap(\.settings)

    /// The setting of that name or key, in upper or lower case.
    public static func setting(named name: String) -> AnySetting? { byName[name.uppercased()] }

    /// The name of a setting that may have been meant.
    public static func nearestName(to name: String) -> String? { nearest(to: name, among: all.map(\.name)) }

    private static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
}
