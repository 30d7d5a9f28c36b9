import Development
import Enrichment
import FoundationEssentials
import HTTPClient
import JobWorker
import Postgres
import Support
import Testing

/// What users are told, and what follows, when Apollo gives no usable answer.
@Suite(.database()) struct ApolloFailureTests {
    let database = TestDatabase.current

    /// One row of the table of failures.
    struct Expectation: Sendable, CustomTestStringConvertible {
        var domain: String
        var status = "pending"
        /// `$endpoint` and `$none` stand for what differs between accounts and contacts.
        var message: String
        var stack: String?
        var testDescription: String { domain }

        func message(_ kind: Kind) -> String {
            message.replacing("$endpoint", with: kind.endpoint).replacing("$none", with: kind.noMatch)
        }
    }

    private static let keyRejected = """
        Apollo rejected the API key of this workspace. Ask a workspace admin to enter a valid key in the workspace settings.
        """
    private static let planLacks = """
        Apollo does not allow this API key to use $endpoint: the key or its plan lacks this endpoint. Ask a workspace admin \
        to check the Apollo plan and key.
        """
    private static let creditsUsedUp = """
        Apollo credits used up. Ask a workspace admin to buy credits at Apollo or to wait for their renewal, then retry the job.
        """

    private static let expectations = [
        // No match, in each of its shapes.
        Expectation(domain: "nobody.test", status: "failed", message: "$none"),
        Expectation(domain: "hollow.test", status: "failed", message: "$none"),
        Expectation(domain: "null.test", status: "failed", message: "$none"),
        Expectation(domain: "unknown-company.test", status: "failed", message: "$none"),
        Expectation(domain: "error-404.test", status: "failed", message: "$none"),
        // Refusals.
        Expectation(domain: "error-401.test", status: "failed", message: keyRejected, stack: "Apollo 401: Status 401"),
        Expectation(domain: "error-402.test", status: "failed", message: creditsUsedUp, stack: "Apollo: Status 402"),
        Expectation(domain: "error-403.test", status: "failed", message: planLacks, stack: "Apollo 403: Status 403"),
        Expectation(
            domain: "error-422.test", status: "failed", message: "Apollo refused the request (status 422): Status 422",
            stack: "Apollo 422: Status 422"),
        // Tried again.
        Expectation(
            domain: "error-429.test", message: "Rate limit exceeded at Apollo: Status 429",
            stack: "Apollo 429: Status 429"),
        Expectation(
            domain: "error500.test", message: "Apollo answered with an error (status 500).",
            stack: "Apollo 500: Internal Server Error"),
        Expectation(
            domain: "error-503.test", message: "Apollo answered with an error (status 503).",
            stack: "Apollo 503: Status 503"),
        Expectation(
            domain: "html.test", message: "Apollo's answer could not be read: JSON was expected, not text/html",
            stack: "Apollo: JSON was expected, not text/html"),
        Expectation(
            domain: "badjson.test", message: "Apollo's answer could not be read: it is not valid JSON",
            stack: "Apollo: it is not valid JSON"),
        Expectation(
            domain: "huge.test", message: "Apollo's answer could not be read: it is longer than 5242880 bytes",
            stack: "Apollo: it is longer than 5242880 bytes"),
    ]

    private func expect(
        _ job: UUID, _ kind: Kind, _ expected: Expectation, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let row = try await database.job(job)
        let message = expected.message(kind)
        #expect(row.status == expected.status, sourceLocation: sourceLocation)
        #expect(row.attempts == 1, sourceLocation: sourceLocation)
        #expect(row.errorMessage == message, sourceLocation: sourceLocation)
        #expect(row.errorStack == expected.stack, sourceLocation: sourceLocation)
        let last = try #require(try await database.logs(of: job).last, sourceLocation: sourceLocation)
        if expected.status == "failed" {
            #expect(row.nextRetryAt == nil && row.failedAt != nil, sourceLocation: sourceLocation)
            #expect(last.level == "error", sourceLocation: sourceLocation)
            #expect(last.message == "Failed on attempt 1 of 5: \(message)", sourceLocation: sourceLocation)
        } else {
            #expect((30...60).contains(try #require(row.retryIn)), sourceLocation: sourceLocation)
            #expect(row.failedAt == nil, sourceLocation: sourceLocation)
            #expect(last.level == "warn", sourceLocation: sourceLocation)
            #expect(
                last.message == "Attempt 1 of 5 failed, will be tried again in 60 s: \(message)",
                sourceLocation: sourceLocation)
        }
    }

    @Test(arguments: expectations, Kind.allCases)
    func `each failure is told in words and judged by its cause`(expected: Expectation, kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(kind, at: expected.domain)
        let job = try await scene.enqueue(kind, row)
        try await scene.run(job)
        try await expect(job, kind, expected)
        try await scene.expectDiscreet(job)
        #expect(try await scene.requests() == 1)
        #expect(try await !scene.isEnriched(kind, row))
        #expect(try await scene.creditsUsed() == 0)
        #expect(try await database.count("last_enrichment_at IS NOT NULL", of: "public.workspace_settings") == 0)
    }

    /// 401 comes as plain text for companies and as JSON for people.
    @Test(
        arguments: [
            ("bad", keyRejected, "Apollo 401: Invalid access credentials."),
            ("forbidden", planLacks, "Apollo 403: api/v1/$endpoint is not accessible with this api_key"),
            ("broke", creditsUsedUp, "Apollo: You have insufficient credits to perform this action"),
        ], Kind.allCases)
    func `a key that Apollo refuses is for an admin to mend`(
        refusal: (answers: String, message: String, stack: String), kind: Kind
    ) async throws {
        let scene = try await EnrichmentScene(answers: refusal.answers)
        let job = try await scene.attempt(kind, at: "refused.example.com")
        try await expect(
            job, kind,
            Expectation(
                domain: "", status: "failed", message: refusal.message,
                stack: refusal.stack.replacing("$endpoint", with: kind.endpoint)))
        try await scene.expectDiscreet(job)
    }

    @Test(arguments: Kind.allCases, [401, 422, 429, 500])
    func `an error that quotes the request is told without addresses and keys`(kind: Kind, status: Int) async throws {
        let scene = try await EnrichmentScene()
        let job = try await scene.attempt(kind, at: "echo-\(status).test")
        let hidden = kind == .account ? "•••" : "••• ••• •••"
        let row = try await database.job(job)
        #expect(row.errorStack == "Apollo \(status): Status \(status) for echo-\(status).test: \(hidden)")
        try await scene.expectDiscreet(job)
    }

    @Test(arguments: Kind.allCases)
    func `a slow Apollo is given up and asked again later`(kind: Kind) async throws {
        var scene = try await EnrichmentScene()
        scene.configuration.requestTimeout = .milliseconds(300)
        let job = try await scene.attempt(kind, at: "slow.test")
        try await expect(
            job, kind,
            Expectation(domain: "", message: "Apollo did not answer in time.", stack: "Apollo: timed out"))
        try await scene.expectDiscreet(job)
    }

    @Test(arguments: Kind.allCases)
    func `a connection that is refused or broken says that Apollo was the side that failed`(kind: Kind) async throws {
        var scene = try await EnrichmentScene()
        let broken = try await scene.attempt(kind, at: "reset.test")
        scene.configuration.apolloBaseURL = "http://127.0.0.1:1"
        let refused = try await scene.attempt(kind, at: "refused.example.com")
        for (job, start) in [(broken, "Apollo: "), (refused, "Apollo: no connection: ")] {
            let row = try await database.job(job)
            #expect(row.status == "pending")
            #expect(row.attempts == 1)
            #expect(row.errorMessage == "Apollo could not be reached.")
            #expect(row.errorStack?.hasPrefix(start) == true)
            try await scene.expectDiscreet(job)
        }
    }

    @Test(arguments: Kind.allCases)
    func `an attempt that lasts too long is cut off in the middle of a call`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let job = try await scene.attempt(kind, at: "slow.test", timeout: .seconds(1))
        let row = try await database.job(job)
        #expect(row.status == "pending")
        #expect(row.attempts == 1)
        #expect(row.errorMessage == "Timed out: attempt 1 ran longer than 1 s")
    }

    @Test(arguments: Kind.allCases)
    func `a failure that passes costs an attempt but no credit`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let job = try await scene.attempt(kind, at: "once-\(scene.key).flaky.test")
        #expect(try await database.job(job).status == "pending")
        try await scene.makeDue(job)
        try await scene.run(job)
        let row = try await database.job(job)
        #expect(row.status == "completed")
        #expect(row.attempts == 2)
        #expect(row.errorMessage == nil && row.errorStack == nil)
        #expect(try await scene.creditsUsed() == 1)
    }

    @Test(arguments: Kind.allCases)
    func `the last attempt's failure is final`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let job = try await scene.attempt(kind, at: "error500.test", maxAttempts: 1)
        #expect(try await database.job(job).status == "failed")
        #expect(try await database.job(job).errorMessage == "Apollo answered with an error (status 500).")
    }

    // MARK: The database's side

    /// Makes each update of a row fail.
    private func refuseUpdates(_ kind: Kind, state: String) async throws {
        try await database.run(
            """
            CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '\(state)', DETAIL = 'kim-canary'; END $$;
            CREATE TRIGGER refuse BEFORE UPDATE ON \(kind.table) FOR EACH ROW EXECUTE FUNCTION public.refuse();
            """)
    }

    @Test(arguments: Kind.allCases)
    func `a database that fails for a while is named as the side that failed`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        let row = try await scene.insert(kind, at: "dbfails.example.com")
        try await scene.run(try await scene.enqueue(kind, row))
        // From the cache, so that nothing paid for is at stake.
        try await refuseUpdates(kind, state: "40001")
        let job = try await scene.enqueue(kind, row)
        try await scene.run(job)
        let failed = try await database.job(job)
        #expect(failed.status == "pending")
        #expect(failed.attempts == 1)
        #expect(
            failed.errorMessage
                == "The database failed: jobworker:enrichment.update_row: not now (SQLSTATE 40001)")
        try await scene.expectDiscreet(job)
    }

    @Test(arguments: Kind.allCases)
    func `data that the database refuses fail for good, and what was paid for is kept`(kind: Kind) async throws {
        let scene = try await EnrichmentScene()
        try await refuseUpdates(kind, state: "22023")
        let row = try await scene.insert(kind, at: "dbrefuses.example.com")
        let job = try await scene.enqueue(kind, row)
        try await scene.run(job)
        let failed = try await database.job(job)
        #expect(failed.status == "failed")
        #expect(
            failed.errorMessage
                == "The database refused the data: jobworker:enrichment.update_row: not now (SQLSTATE 22023)")
        try await scene.expectDiscreet(job)
        #expect(try await scene.creditsUsed() == 1)
        // Once the cause is mended, a retry by hand is free.
        try await database.run("DROP TRIGGER refuse ON \(kind.table)")
        try await database.query("SELECT jobworker.retry_job(\(job))")
        try await scene.run(job)
        #expect(try await database.job(job).status == "completed")
        #expect(try await scene.isEnriched(kind, row))
        #expect(try await scene.requests() == 1)
        #expect(try await scene.creditsUsed() == 1)
        #expect(try await scene.result(job)["credits_used"] == 1)
    }
}
