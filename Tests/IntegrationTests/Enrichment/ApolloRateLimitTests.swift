import Development
import Enrichment
import FoundationEssentials
import HTTPClient
import JobWorker
import Postgres
import Support
import Testing

/// Apollo's limits: who comes too early waits, and loses neither attempt nor credit.
@Suite(.database()) struct ApolloRateLimitTests {
    let database = TestDatabase.current

    private func maximum(_ number: Int, per window: String, _ kind: Kind) -> String {
        """
        Rate limit exceeded: Apollo: The maximum number of api calls allowed for api/v1/\(kind.endpoint) is \(number) \
        times per \(window).
        """
    }

    /// The job waits `seconds`, its attempt given back, and says so with the time it waits until.
    private func expectWaiting(
        _ job: UUID, seconds: ClosedRange<Double>, _ message: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let row = try await database.job(job)
        #expect(row.status == "pending", sourceLocation: sourceLocation)
        #expect(row.attempts == 0, sourceLocation: sourceLocation)
        #expect(row.errorStack == nil, sourceLocation: sourceLocation)
        #expect(seconds.contains(try #require(row.retryIn)), sourceLocation: sourceLocation)
        let text = try #require(row.errorMessage, sourceLocation: sourceLocation)
        #expect(text.hasPrefix("\(message) Waits until "), "\(text)", sourceLocation: sourceLocation)
        let until = try #require(
            Timestamp(text: String(text.dropFirst("\(message) Waits until ".count).dropLast())),
            sourceLocation: sourceLocation)
        let due = try #require(row.nextRetryAt, sourceLocation: sourceLocation)
        #expect(abs(due.microseconds - until.microseconds) <= 3_000_000, sourceLocation: sourceLocation)
        let last = try #require(try await database.logs(of: job).last, sourceLocation: sourceLocation)
        #expect(last.level == "info", sourceLocation: sourceLocation)
        #expect(last.message.hasPrefix("Waiting "), sourceLocation: sourceLocation)
        #expect(last.message.hasSuffix(" s: \(text)"), sourceLocation: sourceLocation)
    }

    // MARK: Apollo's 429

    @Test(
        arguments: [
            // Without Retry-After the window that it names is waited for.
            ("limit.test", 20...60.5, 50, "minute"),
            ("limit-hour.test", 1700...1800.5, 600, "hour"),
            ("retry-after-90.test", 50...90.5, 50, "minute"),
            // More than an hour is looked at again after an hour.
            ("retry-after-7200.test", 3500...3600, 50, "minute"),
        ], Kind.allCases)
    func `a 429 gives the job back until the time that Apollo names`(
        answer: (domain: String, seconds: ClosedRange<Double>, number: Int, window: String), kind: Kind
    ) async throws {
        let scene = try await EnrichmentScene()
        let domain = answer.domain.hasPrefix("retry") ? "\(scene.key).\(answer.domain)" : answer.domain
        let job = try await scene.attempt(kind, at: domain)
        try await expectWaiting(job, seconds: answer.seconds, maximum(answer.number, per: answer.window, kind))
        try await scene.expectDiscreet(job)
        #expect(try await scene.requests() == 1)
        #expect(try await scene.creditsUsed() == 0)
    }

    @Test(arguments: Kind.allCases)
    func `a 429 of the hour without Retry-After waits for an hour`(kind: Kind) async throws {
        try await Standin.with(["--per-hour", "1"]) { standin in
            let scene = try await EnrichmentScene(standin: standin)
            let first = try await scene.attempt(kind, at: "one.example.com")
            #expect(try await database.job(first).status == "completed")
            let second = try await scene.attempt(kind, at: "two.example.com")
            try await expectWaiting(second, seconds: 3500...3600, maximum(1, per: "hour", kind))
        }
    }

    @Test(arguments: Kind.allCases)
    func `a job that Apollo put off completes by itself, as its first attempt`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(kind, at: "\(scene.key).retry-after-1.test")
        let job = try await scene.enqueue(kind, row)
        try await scene.withWorker(change: { $0.pollInterval = .milliseconds(100) }) { _ in
            try await database.waitUntil("status = 'completed'")
        }
        let done = try await database.job(job)
        #expect(done.attempts == 1)
        #expect(done.errorMessage == nil && done.snoozedSince == nil)
        #expect(try await scene.requests() == 2)
        #expect(try await scene.creditsUsed() == 1)
    }

    @Test func `a 429 holds the whole workspace back, and no other`() async throws {
        let scene = try await EnrichmentScene()
        let key = EnrichmentScene.newKey()
        let other = try await scene.insertWorkspace(key: key)
        let before = try await scene.insert(.account, at: "before.example.com", workspace: other)
        try await scene.run(try await scene.enqueue(.account, before, workspace: other))
        _ = try await scene.attempt(.account, at: "limit-hour.test")
        let held = try await scene.attempt(.contact, at: "held.example.com")
        try await expectWaiting(held, seconds: 1700...1801, maximum(600, per: "hour", .account))
        #expect(try await scene.requests() == 1)
        let row = try await scene.insert(.account, at: "free.example.com", workspace: other)
        let job = try await scene.enqueue(.account, row, workspace: other)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.requests(key: key) == 2)
    }

    @Test func `what the cache knows needs no turn`() async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(.account, at: "known.example.com")
        try await scene.run(try await scene.enqueue(.account, row))
        _ = try await scene.attempt(.account, at: "limit-hour.test")
        let job = try await scene.enqueue(.account, row)
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
    }

    // MARK: The own window

    @Test(arguments: Kind.allCases)
    func `the own window is never overrun; who comes too late waits for the next`(kind: Kind) async throws {
        var scene = try await EnrichmentScene()
        scene.configuration.requestsPerMinute = 1
        let first = try await scene.attempt(kind, at: "first.example.com")
        #expect(try await database.job(first).status == "completed")
        let second = try await scene.attempt(kind, at: "second.example.com")
        try await expectWaiting(second, seconds: 5...61.5, "Rate limit exceeded.")
        try await scene.expectDiscreet(second)
        #expect(try await scene.requests() == 1)
        #expect(try await scene.creditsUsed() == 1)
    }

    @Test func `the limit holds over all workers of a database, and what was put off completes later`() async throws {
        try await Standin.with { standin in
            var scene = try await EnrichmentScene(standin: standin)
            scene.configuration.requestsPerMinute = 5
            let limited = scene
            for number in 0..<14 {
                let kind: Kind = number.isMultiple(of: 2) ? .account : .contact
                let row = try await scene.insert(kind, at: "company\(number).example.com")
                _ = try await scene.enqueue(kind, row)
            }
            let pools = (0..<2).map { _ in ConnectionPool(database.workerSettings, limit: 2) }
            let processors = pools.map { EnrichmentProcessors(limited.service(pool: $0)) }
            let poll: (inout WorkerConfiguration) -> Void = { $0.pollInterval = .milliseconds(100) }
            let claimed = try await database.withWorker(processors[0], change: poll) { first in
                try await database.withWorker(processors[1], change: poll) { second in
                    try await database.waitUntil(
                        "NOT EXISTS (SELECT FROM public.jobs WHERE lease_open OR status = 'pending' AND error_message IS NULL)",
                        of: "(SELECT) AS once", atMost: .seconds(60))
                    #expect(try await database.count("status = 'completed' AND attempts = 1") == 5)
                    #expect(
                        try await database.count(
                            """
                            status = 'pending' AND attempts = 0 AND error_message LIKE 'Rate limit exceeded. Waits until %'
                            AND next_retry_at > now() + interval '5 seconds'
                            """) == 9)
                    #expect(try await limited.ledger()["busiest_minute"]?[String(limited.key.suffix(4))] == 5)
                    // The next window comes sooner than in a minute.
                    try await database.query("UPDATE public.rate_limits SET window_duration = interval '1 second'")
                    try await database.query("UPDATE public.jobs SET next_retry_at = NULL WHERE status = 'pending'")
                    try await database.waitUntil(
                        "NOT EXISTS (SELECT FROM public.jobs WHERE status <> 'completed')", of: "(SELECT) AS once",
                        atMost: .seconds(60))
                    return (first.state.snapshot.counts.claimed, second.state.snapshot.counts.claimed)
                }
            }
            for pool in pools { await pool.close() }
            #expect(claimed.0 > 0 && claimed.1 > 0)
            #expect(try await database.count("attempts = 1") == 14)
            #expect(try await scene.requests() == 14)
            #expect(try await scene.creditsUsed() == 14)
        }
    }

    // MARK: What the headers tell

    @Test func `a lower limit is learnt from the headers, and a minute that is used up is waited for`() async throws {
        try await Standin.with(["--per-minute", "3"]) { standin in
            let scene = try await EnrichmentScene(standin: standin)
            for number in 0..<3 {
                let job = try await scene.attempt(.account, at: "company\(number).example.com")
                #expect(try await database.job(job).status == "completed")
                #expect(
                    try await database.value("SELECT max_requests FROM public.rate_limits", as: Int.self) == 3)
            }
            let job = try await scene.attempt(.contact, at: "company4.example.com")
            try await expectWaiting(
                job, seconds: 5...62, "Rate limit exceeded: Apollo has no requests left in this minute.")
            #expect(try await scene.ledger()["statuses"] == ["200": 3])
        }
    }

    @Test func `the headers don't raise a limit`() async throws {
        try await Standin.with(["--per-minute", "30"]) { standin in
            var scene = try await EnrichmentScene(standin: standin)
            scene.configuration.requestsPerMinute = 20
            _ = try await scene.attempt(.account, at: "company.example.com")
            #expect(try await database.value("SELECT max_requests FROM public.rate_limits", as: Int.self) == 20)
        }
    }
}

/// Both processors of a worker as one.
struct EnrichmentProcessors: JobProcessor {
    let jobTypes = ["enrich_account", "enrich_contact"]
    private let account: EnrichAccount
    private let contact: EnrichContact

    init(_ service: EnrichmentService) {
        account = EnrichAccount(service: service)
        contact = EnrichContact(service: service)
    }

    func process(_ job: Job, context: JobContext) async throws -> JSONText? {
        job.type == "enrich_account"
            ? try await account.process(job, context: context) : try await contact.process(job, context: context)
    }
}
