import Glibc
import Testing

@testable import Settings

struct ConfigurationTests {
    private let folder: SettingsFolder

    init() throws { folder = try SettingsFolder() }

    // MARK: Where a value comes from

    @Test func `a flag wins over the environment, a credential, the file and the default, in this order`() throws {
        let credential = try folder.write("four\n", to: "worker_region")
        let file = try folder.write("worker_region: five\n", to: "config.yaml")
        var sources = Sources(
            flags: ["WORKER_REGION": "two"], environment: ["WORKER_REGION": "three"],
            credentialsDirectory: folder.path, file: file)
        let setting = Catalog.region

        func found() throws -> (String, Origin) {
            let configuration = try Configuration.load(sources)
            return (configuration[setting], configuration.origin(of: setting))
        }
        #expect(try found() == ("two", .flag))
        sources.flags = [:]
        #expect(try found() == ("three", .environment))
        sources.environment = [:]
        #expect(try found() == ("four", .credential(path: credential)))
        sources.credentialsDirectory = nil
        #expect(try found() == ("five", .file(path: file, line: 1)))
        try folder.write("", to: "config.yaml")
        #expect(try found() == ("local", .default))
    }

    @Test func `a variable that is empty or blank is not set`() throws {
        let file = try folder.write("worker_region: file\n", to: "config.yaml")
        for blank in ["", " ", "\t"] {
            let sources = Sources(environment: ["WORKER_REGION": blank], file: file)
            #expect(try Configuration.load(sources)[Catalog.region] == "file")
        }
    }

    @Test func `an empty credential is not set`() throws {
        try folder.write("\n", to: "worker_region")
        let sources = Sources.alone(credentials: folder.path)
        #expect(try Configuration.load(sources).origin(of: Catalog.region) == .default)
    }

    @Test func `an empty flag is meant`() {
        #expect(
            mistakes(.alone(flags: ["WORKER_QUEUES": ""], environment: [:])).map(\.problem) == ["it is empty"])
    }

    @Test func `operators' tokens that are set to nothing are a mistake in every source`() throws {
        #expect(mistakes(["WORKER_SECRET_TOKEN": ""]).map(\.subject) == ["WORKER_SECRET_TOKEN"])
        try folder.write("", to: "worker_secret_token")
        #expect(
            mistakes(Sources.alone(credentials: folder.path)).map(\.problem) == ["it is empty"])
        let file = try folder.write("worker_secret_token:\n", to: "config.yaml")
        #expect(mistakes(Sources(environment: [:], file: file)).map(\.problem) == ["it is empty"])
    }

    @Test func `one line end at the end of a credential is not part of it`() throws {
        try folder.write("secret \n\n", to: "supabase_jwt_secret")
        let sources = Sources.alone(environment: ["CREDENTIALS_DIRECTORY": folder.path])
        #expect(mistakes(sources).map(\.subject) == ["SUPABASE_JWT_SECRET"])
        try folder.write("secret \n", to: "supabase_jwt_secret")
        let secret = try Configuration.load(sources)[Catalog.supabaseJWTSecret]
        #expect(secret?.withText { $0 == "secret " } == true)
    }

    @Test func `a credential that can't be read is a mistake`() throws {
        try folder.makeFolder("database_url")
        let found = mistakes(Sources.alone(credentials: folder.path))
        #expect(found.map(\.problem) == ["the credential can't be read: Is a directory"])
        #expect(found.map(\.origin) == [.credential(path: "\(folder.path)/database_url")])
    }

    @Test func `a folder of credentials that is none is one mistake`() throws {
        let file = try folder.write("", to: "file")
        let found = mistakes(Sources.alone(credentials: "\(file)/x"))
        #expect(found.map(\.problem) == ["the directory of credentials can't be read: Not a directory"])
        #expect(throws: Never.self) {
            try Configuration.load(Sources.alone(credentials: "\(folder.path)/missing"))
        }
    }

    @Test func `what is set below a source that decides isn't looked at`() throws {
        let file = try folder.write("worker_max_concurrent: many\n", to: "config.yaml")
        let sources = Sources(environment: ["WORKER_MAX_CONCURRENT": "7"], file: file)
        #expect(try Configuration.load(sources)[Catalog.maxConcurrent] == 7)
    }

    @Test func `connections for listening and migrating are that of the database unless they are set`() throws {
        let one = try loadSettings(["DATABASE_URL": "host=one"])
        #expect(one.listenConnection == Secret("host=one"))
        #expect(one.migrateConnection == Secret("host=one"))
        let three = try loadSettings([
            "DATABASE_URL": "host=one", "WORKER_LISTEN_URL": "host=two", "MIGRATE_DATABASE_URL": "host=three",
        ])
        #expect(three.listenConnection == Secret("host=two"))
        #expect(three.migrateConnection == Secret("host=three"))
        #expect(try loadSettings([:]).listenConnection == nil)
    }

    @Test func `a flag for a secret is a bug`() async {
        await #expect(processExitsWith: .failure) { _ = Sources(flags: ["DATABASE_URL": "x"], environment: [:]) }
        await #expect(processExitsWith: .failure) { _ = Sources(flags: ["WORKER_QUEUE": "x"], environment: [:]) }
    }

    // MARK: What is wrong

    @Test func `every mistake is told at once`() throws {
        let file = try folder.write("worker_retry_jitter: 2\nworker_queue: a\n", to: "config.yaml")
        try folder.write("x", to: "enrichment_cache_ttl_days")
        let sources = Sources(
            flags: ["WORKER_QUEUES": "a,a"],
            environment: ["WORKER_MAX_CONCURRENT": "0", "DATABASE_URL": "canary", "WORKER_LOG_LEVEL": "lo\nud"],
            credentialsDirectory: folder.path, file: file)
        let report = #expect(throws: SettingsReport.self) { try Configuration.load(sources) }
        let text = try #require(report).description.replacing("\(folder.path)/", with: "")
        #expect(
            text == """
                7 mistakes in the settings:
                  config.yaml:2: has a key that is no setting: 'worker_queue', did you mean 'worker_queues'?
                  DATABASE_URL = ••• (environment): must be a connection URI (postgresql://…) or a libpq string \
                (host=… dbname=…)
                  WORKER_QUEUES = 'a,a' (flag): the queue 'a' is there twice; must be queues as name or name:max \
                with commas between them, '*' for all; max from 1 to 10000
                  WORKER_MAX_CONCURRENT = '0' (environment): must be a whole number from 1 to 10000
                  WORKER_RETRY_JITTER = '2' (config.yaml:1): must be a number from 0 to 1, with up to three decimals
                  ENRICHMENT_CACHE_TTL_DAYS = 'x' (credential enrichment_cache_ttl_days): must be a whole number of \
                days from 0 to 3650
                  WORKER_LOG_LEVEL = 'lo\\u{a}ud' (environment): must be one of trace, debug, info, notice, warning, \
                error, critical
                """)
    }

    @Test func `a long value is cut in a report`() {
        let shown = mistakes(["WORKER_REGION": String(repeating: "a", count: 5000)]).first?.value
        #expect(shown == String(repeating: "a", count: 100) + "…")
    }

    @Test(arguments: [
        (
            ["WORKER_HEARTBEAT_SECONDS": "61"], "WORKER_HEARTBEAT_SECONDS",
            "at most half of WORKER_STALE_AFTER_SECONDS, which is 120 by default"
        ),
        (
            ["WORKER_STALE_AFTER_SECONDS": "29.5"], "WORKER_STALE_AFTER_SECONDS",
            "at least twice WORKER_HEARTBEAT_SECONDS, which is 15 by default"
        ),
        (
            ["WORKER_HEARTBEAT_SECONDS": "2", "WORKER_STALE_AFTER_SECONDS": "3"], "WORKER_STALE_AFTER_SECONDS",
            "at least twice WORKER_HEARTBEAT_SECONDS, which is 2"
        ),
        (
            ["WORKER_RETRY_BASE_SECONDS": "3601"], "WORKER_RETRY_BASE_SECONDS",
            "at most WORKER_RETRY_MAX_SECONDS, which is 3600 by default"
        ),
        (
            ["WORKER_RETRY_MAX_SECONDS": "59"], "WORKER_RETRY_MAX_SECONDS",
            "at least WORKER_RETRY_BASE_SECONDS, which is 60 by default"
        ),
    ])
    func `settings have to fit together`(environment: [String: String], subject: String, rule: String) {
        let found = mistakes(environment)
        #expect(found.map(\.subject) == [subject])
        #expect(found.map(\.allowed) == [rule])
        #expect(found.map(\.value) == [environment[subject]])
    }

    @Test func `settings that just fit together are fine`() {
        #expect(throws: Never.self) {
            try loadSettings([
                "WORKER_HEARTBEAT_SECONDS": "60", "WORKER_RETRY_BASE_SECONDS": "0", "WORKER_RETRY_MAX_SECONDS": "0",
            ])
        }
    }

    @Test func `a setting that can't be read is not compared`() {
        #expect(
            mistakes(["WORKER_HEARTBEAT_SECONDS": "x", "WORKER_STALE_AFTER_SECONDS": "1"]).map(\.subject)
                == ["WORKER_HEARTBEAT_SECONDS"])
    }

    // MARK: What is odd

    @Test func `variables that look like settings are warned of`() throws {
        let configuration = try loadSettings([
            "WORKER_POLL_INTERVAL": "canary", "WORKER_QEUEUS": "canary", "WORKER_SPEED": "canary", "PATH": "/bin",
            "WORKER_ENV": "x",
        ])
        #expect(
            configuration.warnings == [
                "the environment has 'WORKER_POLL_INTERVAL', which is no setting, did you mean WORKER_POLL_INTERVAL_MS?",
                "the environment has 'WORKER_QEUEUS', which is no setting, did you mean WORKER_QUEUES?",
                "the environment has 'WORKER_SPEED', which is no setting",
            ])
    }

    @Test func `a queue's limit beyond the worker's is warned of`() throws {
        #expect(
            try loadSettings(["WORKER_QUEUES": "a:5,b:6"]).warnings == [
                "WORKER_QUEUES lets 6 jobs of 'b' run at once, WORKER_MAX_CONCURRENT only 5"
            ])
    }

    // MARK: Showing

    @Test func `every setting is shown with its value and its origin`() throws {
        let entries = try loadSettings(["WORKER_QUEUES": " a:2,b ", "WORKER_DIAGNOSTIC_JOBS": "yes"]).describe()
        #expect(entries.map(\.name) == Catalog.all.map(\.name))
        func entry(_ name: String) throws -> Configuration.Entry { try #require(entries.first { $0.name == name }) }
        #expect(try entry("WORKER_QUEUES").value == "a:2,b")
        #expect(try entry("WORKER_QUEUES").origin == .environment)
        #expect(try entry("WORKER_DIAGNOSTIC_JOBS").value == "yes")
        #expect(try entry("WORKER_POLL_INTERVAL_MS").value == "5000")
        #expect(try entry("WORKER_POLL_INTERVAL_MS").origin == .default)
        #expect(try entry("WORKER_RETENTION_DAYS").value == "completed:0,cancelled:0,failed:0,dead_letter:0")
        #expect(try entry("DATABASE_URL").value == "libpq's PG* variables")
        #expect(try entry("WORKER_SECRET_TOKEN").value == "none")
        #expect(try entry("ENRICHMENT_CACHE_TTL_DAYS").value == "30")
    }

    @Test(arguments: [
        ("DATABASE_URL", "host=canary"), ("WORKER_LISTEN_URL", "postgresql://canary@a/b"),
        ("MIGRATE_DATABASE_URL", "host=canary"), ("SUPABASE_JWT_SECRET", "canary"),
        ("WORKER_SECRET_TOKEN", "canary:canary,canary2"),
        ("WORKER_ENCRYPTION_KEYS", "canary:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),
    ])
    func `a secret that is set is shown nowhere`(name: String, text: String) throws {
        let configuration = try loadSettings([name: text])
        let entry = try #require(configuration.describe().first { $0.name == name })
        #expect(entry.value == "•••")
        var shown = "\(configuration) \(configuration.describe())"
        dump(configuration, to: &shown)
        dump(configuration.describe(), to: &shown)
        shown += "\(configuration[Catalog.databaseURL] as Any) \(configuration[Catalog.encryptionKeys] as Any)"
        shown += "\(configuration[Catalog.secretToken].map(\.token))"
        dump(configuration[Catalog.encryptionKeys]?.text, to: &shown)
        dump(configuration[Catalog.encryptionKeys]?.keys.map(\.bytes), to: &shown)
        #expect(!shown.replacing("id: \"canary\"", with: "").contains("AQEB"))
        if name != "WORKER_ENCRYPTION_KEYS" { #expect(!shown.contains("canary")) }
    }

    @Test(arguments: [
        ("DATABASE_URL", "canary"), ("WORKER_LISTEN_URL", "host=canary\n"), ("MIGRATE_DATABASE_URL", "canary"),
        ("SUPABASE_JWT_SECRET", "can\nary canary"), ("WORKER_SECRET_TOKEN", "canary canary"),
        ("WORKER_SECRET_TOKEN", "canary,canary"), ("WORKER_SECRET_TOKEN", "can ary:canary"),
        ("WORKER_ENCRYPTION_KEYS", "canary"), ("WORKER_ENCRYPTION_KEYS", "a:canary,a:canary"),
        ("WORKER_ENCRYPTION_KEYS", "canary!:AAAA"),
    ])
    func `a secret that can't be used is not shown either`(name: String, text: String) throws {
        try folder.write("\(text)\u{7}\n", to: name.lowercased())
        for sources in [
            Sources.alone(environment: [name: "\(text)\u{7}"]),
            Sources.alone(credentials: folder.path),
        ] {
            let report = SettingsReport(mistakes: mistakes(sources))
            var shown = "\(report) \(report.mistakes)"
            dump(report, to: &shown)
            #expect(!shown.contains("canary"))
        }
    }

    @Test(arguments: ["database_url: [canary", "database_url: 'canary", "database_url: canary\n bad: x\n", "canary"])
    func `a broken file shows no part of itself`(text: String) throws {
        let file = try folder.write(text, to: "config.yaml")
        let report = SettingsReport(mistakes: mistakes(Sources(environment: [:], file: file)))
        #expect(!"\(report)".contains("canary"))
        #expect(report.mistakes.count == 1)
    }

    // MARK: Reloading

    @Test func `a reload tells what has changed and what needs a restart`() throws {
        let before = try loadSettings(["WORKER_QUEUES": "a", "WORKER_MAX_CONCURRENT": "5", "WORKER_SOCKET": "/a"])
        let after = try loadSettings([
            "WORKER_QUEUES": " a ", "WORKER_MAX_CONCURRENT": "6", "WORKER_REGION": "local", "DATABASE_URL": "host=b",
            "WORKER_SECRET_TOKEN": "t",
        ])
        let changes = before.changes(to: after)
        #expect(
            changes == [
                .init(name: "DATABASE_URL", reload: .restart), .init(name: "WORKER_MAX_CONCURRENT", reload: .live),
                .init(name: "WORKER_SOCKET", reload: .restart), .init(name: "WORKER_SECRET_TOKEN", reload: .live),
            ])
        #expect(before.changes(to: before).isEmpty)
        #expect(after.changes(to: before).map(\.name) == changes.map(\.name))
    }

    @Test func `a secret that has changed is a change`() throws {
        let before = try loadSettings(["WORKER_SECRET_TOKEN": "one"])
        #expect(
            before.changes(to: try loadSettings(["WORKER_SECRET_TOKEN": "two"])).map(\.name) == ["WORKER_SECRET_TOKEN"])
        #expect(before.changes(to: try loadSettings(["WORKER_SECRET_TOKEN": "one"])).isEmpty)
    }
}
