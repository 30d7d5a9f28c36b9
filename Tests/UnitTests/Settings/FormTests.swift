import Testing

@testable import Settings

struct FormTests {
    /// Every setting with a number: its greatest and least values, and the first beyond each.
    @Test(arguments: [
        ("WORKER_MAX_CONCURRENT", "1", "10000", "0", "10001"),
        ("WORKER_POLL_INTERVAL_MS", "50", "300000", "49", "300001"),
        ("WORKER_JOB_TIMEOUT_SECONDS", "0.1", "2592000", "0.099", "2592000.001"),
        ("WORKER_HEARTBEAT_SECONDS", "0.1", "3600", "0.099", "3600.001"),
        ("WORKER_STALE_AFTER_SECONDS", "0.2", "86400", "0.199", "86400.001"),
        ("WORKER_SHUTDOWN_TIMEOUT_SECONDS", "0", "86400", "-1", "86401"),
        ("WORKER_RETRY_BASE_SECONDS", "0", "86400", "-0.1", "86400.001"),
        ("WORKER_RETRY_MAX_SECONDS", "0", "604800", "-1", "604800.001"),
        ("WORKER_RETRY_JITTER", "0", "1", "-0.1", "1.001"),
        ("APOLLO_RATE_LIMIT_PER_MINUTE", "1", "100000", "0", "100001"),
        ("ENRICHMENT_CACHE_TTL_DAYS", "0", "3650", "-1", "3651"),
    ])
    func `a number has a least and a greatest value`(
        name: String, least: String, greatest: String, below: String, above: String
    ) throws {
        let setting = try #require(Catalog.setting(named: name))
        for text in [least, greatest, " \(least)\n"] {
            let value = try setting.parse(text)
            #expect(setting.show(value) == text.trimmingBlanks)
        }
        for text in [below, above, "", " ", "x", "1x", "+1", "1e1", "0x1", "1_0", "1 0", "١", "99999999999999999999"] {
            #expect(throws: BadValue.self, "\(text)") { try setting.parse(text) }
        }
    }

    @Test(arguments: [
        ("1.5", Duration.milliseconds(1500)), ("0.125", .milliseconds(125)), ("2.50", .milliseconds(2500)),
        ("007", .seconds(7)),
    ])
    func `seconds may have three decimals`(text: String, duration: Duration) throws {
        #expect(try Form<Duration>.seconds(0...10).parse(text) == duration)
    }

    @Test(arguments: ["1.", ".5", "1.2345", "1.-5", "1.2.3", "1,5"])
    func `seconds are digits with at most one point between them`(text: String) {
        #expect(throws: BadValue.self) { try Form<Duration>.seconds(0...10).parse(text) }
    }

    @Test func `whole numbers have no decimals`() {
        #expect(throws: BadValue.self) { try Catalog.maxConcurrent.parse("2.0") }
        #expect(throws: BadValue.self) { try Catalog.pollInterval.parse("100.5") }
    }

    @Test func `durations come in the unit of their name`() throws {
        #expect(try Catalog.pollInterval.parse("250") == .milliseconds(250))
        #expect(try Catalog.heartbeatInterval.parse("10") == .seconds(10))
        #expect(try Catalog.enrichmentCacheTTL.parse("2") == .seconds(172_800))
    }

    @Test(arguments: ["true", "1", "yes", "on", "TRUE", " Yes "])
    func `these are true`(text: String) throws {
        #expect(try Catalog.diagnosticJobs.parse(text))
    }

    @Test(arguments: ["false", "0", "no", "off", "False"])
    func `these are false`(text: String) throws {
        #expect(try !Catalog.webhookAllowPrivate.parse(text))
    }

    @Test(arguments: ["", "2", "y", "ja", "truefalse"])
    func `nothing else is true or false`(text: String) {
        #expect(throws: BadValue.self) { try Catalog.diagnosticJobs.parse(text) }
    }

    @Test func `a level may be written in both of its usual ways`() throws {
        #expect(try Catalog.logLevel.parse("warn") == .warning)
        #expect(try Catalog.logLevel.parse("WARNING") == .warning)
        #expect(try Catalog.jobLogs.parse("warning") == .warn)
        #expect(try Catalog.jobLogs.parse("none") == JobLogLevelName.none)
        #expect(try Catalog.logFormat.parse("journal") == .journal)
    }

    @Test func `a misspelt word is answered with the one that was meant`() {
        #expect(throws: BadValue("did you mean debug?")) { try Catalog.logLevel.parse("debg") }
        #expect(throws: BadValue()) { try Catalog.logLevel.parse("everything") }
        #expect(throws: BadValue.self) { try Catalog.logLevel.parse("none") }
        #expect(throws: BadValue.self) { try Catalog.jobLogs.parse("critical") }
    }

    @Test func `the name of a worker has at most 100 characters on one line`() throws {
        #expect(try Catalog.workerID.parse(String(repeating: "ä", count: 100)) == String(repeating: "ä", count: 100))
        for text in [String(repeating: "a", count: 101), "a\nb", "a\u{1b}b", "\u{2028}x"] {
            #expect(throws: BadValue.self) { try Catalog.workerID.parse(text) }
        }
    }

    @Test(arguments: ["a", "mail-2", "host.example:1@x", #"a\x2db"#])
    func `an instance is named by a word`(text: String) throws {
        #expect(try Catalog.instance.parse(text) == text)
    }

    @Test(arguments: [".", "..", ".a", "a/b", "a b", "ä", String(repeating: "a", count: 65)])
    func `the name of an instance is safe as part of a path`(text: String) {
        #expect(throws: BadValue.self) { try Catalog.instance.parse(text) }
    }

    @Test func `a socket's path fits into a socket address`() throws {
        let longest = "/" + String(repeating: "s", count: 106)
        #expect(try Catalog.socket.parse(longest) == longest)
        #expect(throws: BadValue.self) { try Catalog.socket.parse(longest + "s") }
        #expect(throws: BadValue.self) { try Catalog.socket.parse("/a\u{0}b") }
    }

    @Test(arguments: [
        ("https://api.apollo.io", "https://api.apollo.io"), ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
        ("http://[::1]:8081/v1//", "http://[::1]:8081/v1"), ("HTTPS://a", "HTTPS://a"),
        ("https://a/@x", "https://a/@x"),
    ])
    func `a base address loses the slashes at its end`(text: String, address: String) throws {
        #expect(try Catalog.apolloBaseURL.parse(text) == address)
    }

    @Test(arguments: [
        "api.apollo.io", "ftp://a", "https://", "https:///x", "https://a b", "https://a?x=1", "https://a#x",
        "https://user:password@a", "https://a:0", "https://a:65536", "https://a:", "https://ä",
    ])
    func `a base address is http or https with a host and no more than a path`(text: String) {
        #expect(throws: BadValue.self) { try Catalog.apolloBaseURL.parse(text) }
    }

    @Test(arguments: [
        "postgresql://u:p@a,b/jobs?target_session_attrs=read-write", "postgres:///jobs", "host=/run dbname=jobs",
    ])
    func `a connection is a URI or a string of libpq`(text: String) throws {
        let connection = try #require(try Catalog.databaseURL.parse(text))
        #expect(connection.withText { $0 == text })
    }

    @Test(arguments: ["jobs", "mysql://a/b", "host=a\ndbname=b"])
    func `other text is no connection`(text: String) {
        #expect(throws: BadValue.self) { try Catalog.databaseURL.parse(text) }
    }

    @Test func `the secret of member tokens keeps its blanks`() throws {
        let secret = try #require(try Catalog.supabaseJWTSecret.parse(" a b "))
        #expect(secret.withText { $0 == " a b " })
        #expect(throws: BadValue.self) { try Catalog.supabaseJWTSecret.parse("a\nb") }
    }
}
