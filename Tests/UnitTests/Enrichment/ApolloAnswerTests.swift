import HTTPClient
import JobWorker
import Testing

@testable import Enrichment

@Suite struct ApolloAnswerTests {
    private func answer(
        _ status: Int, _ body: String,
        headers: [(name: String, value: String)] = [("content-type", "application/json; charset=utf-8")],
        endpoint: ApolloEndpoint = .organization
    ) throws -> Result<ApolloClient.Reply, ApolloFault> {
        let key = try #require(APIKey("canary-api-key-1234"))
        let response = Response(status: status, headers: headers, body: Array(body.utf8))
        do throws(ApolloFault) {
            return .success(try ApolloClient.reply(endpoint, response, key: key))
        } catch {
            return .failure(error)
        }
    }

    private func fault(
        _ status: Int, _ body: String = "", headers: [(name: String, value: String)] = []
    ) throws -> ApolloFault? {
        if case .failure(let fault) = try answer(status, body, headers: headers) { fault } else { nil }
    }

    @Test func `a match is read with the usage its headers tell`() throws {
        let reply = try answer(
            200, ApolloFixture.organizationFull,
            headers: [("X-Rate-Limit-Minute", "50"), ("x-minute-requests-left", "48")]
        ).get()
        #expect(reply.record?.text("name") == "Nordlicht Freight GmbH")
        #expect(reply.usage == ApolloUsage(perMinute: 50, leftThisMinute: 48))
    }

    @Test(arguments: [
        "{}", "null", #"{"organization": null}"#, #"{"organization": {}}"#, #"{"request_id": 1, "organization": []}"#,
    ])
    func `no match comes in several shapes and is no error`(body: String) throws {
        #expect(try answer(200, body).get().record == nil)
    }

    @Test func `404 means that nothing was found`() throws {
        #expect(try answer(404, "").get().record == nil)
    }

    @Test func `401 as plain text and as JSON is a rejected key`() throws {
        #expect(
            try fault(401, "Invalid access credentials.\n", headers: [("content-type", "text/plain")])
                == .keyRejected(detail: "Invalid access credentials."))
        #expect(
            try fault(401, #"{"error": "Invalid access credentials."}"#)
                == .keyRejected(detail: "Invalid access credentials."))
    }

    @Test func `402, and 422 that speaks of credits, mean that credits are used up`() throws {
        #expect(try fault(402) == .creditsUsedUp(detail: "no message"))
        #expect(try fault(422, #"{"error": "Insufficient Credits"}"#) == .creditsUsedUp(detail: "Insufficient Credits"))
        #expect(
            try fault(422, #"{"error": "Required parameter 'domain' missing"}"#)
                == .refused(status: 422, detail: "Required parameter 'domain' missing"))
    }

    @Test func `403 names the endpoint that the plan lacks`() throws {
        let fault = try #require(
            try fault(403, #"{"error": "api/v1/people/match is not accessible", "error_code": "API_INACCESSIBLE"}"#))
        #expect(fault == .endpointRefused(detail: "api/v1/people/match is not accessible"))
        #expect(fault.isRemembered)
        #expect(fault.failure(.person).kind == .permanent)
        #expect(fault.failure(.person).message.contains("people/match"))
    }

    @Test func `429 without Retry-After waits for the window it names`() throws {
        let text = "The maximum number of api calls allowed for api/v1/people/match is 600 times per hour."
        #expect(
            try fault(429, #"{"message": "\#(text)"}"#) == .rateLimited(retryAfter: nil, window: .hour, detail: text))
        #expect(ApolloWindow(in: "50 times per minute.")?.pause == .seconds(60))
        #expect(ApolloWindow(in: "2000 times per day")?.pause == .seconds(3600))
        #expect(ApolloWindow(in: "slow down") == nil)
    }

    @Test(arguments: [
        ("30", 30), ("0", 0), (" 7 ", 7), ("999999999999999999999999", 3600), ("7200", 3600),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60), ("Mon, 07 Nov 1994 08:49:37 GMT", 3600),
    ])
    func `Retry-After is seconds or a date, at most an hour`(header: String, seconds: Int) {
        #expect(RetryAfter.delay(header, date: "Sun, 06 Nov 1994 08:49:37 GMT") == .seconds(seconds))
    }

    @Test(arguments: [nil, "", "-5", "1.5", "soon", "Sun, 06 Nov 1994 08:49:00 GMT", "Sun, 31 Foo 1994 08:49:37 GMT"])
    func `a Retry-After that makes no sense is ignored`(header: String?) {
        #expect(RetryAfter.delay(header, date: "Sun, 06 Nov 1994 08:49:37 GMT") == nil)
    }

    @Test func `a date in Retry-After without the other side's own date is ignored`() {
        #expect(RetryAfter.delay("Sun, 06 Nov 1994 08:49:37 GMT", date: nil) == nil)
    }

    @Test func `503 with Retry-After gives the job back, without it counts as a failure`() throws {
        #expect(try fault(503, "", headers: [("retry-after", "9")])?.failure(.person).kind == .snooze(.seconds(9)))
        #expect(try fault(503)?.failure(.person).kind == .retryable)
    }

    @Test(arguments: [500, 502, 504, 302])
    func `what Apollo can't do now is tried again`(status: Int) throws {
        #expect(try fault(status, "<html>oops")?.failure(.organization).kind == .retryable)
    }

    @Test(arguments: [
        "<!doctype html><title>Maintenance</title>", #"{"organization": {"id": "0f3a", "name": "Half"#, "", "[]", "7",
    ])
    func `200 with something else is tried again`(body: String) throws {
        guard case .failure(let fault) = try answer(200, body) else {
            Issue.record("read as an answer")
            return
        }
        #expect(fault.failure(.organization).kind == .retryable)
        #expect(fault.failure(.organization).message.contains("could not be read"))
    }

    @Test func `an error that quotes the key is told without it`() throws {
        #expect(
            try fault(401, #"{"error": "unknown key canary-api-key-1234"}"#) == .keyRejected(detail: "unknown key •••"))
    }

    @Test func `a key that a long error quotes at its cut is told without any part of it`() throws {
        for length in 270...300 {
            let text = String(repeating: "x", count: length) + " canary-api-key-1234"
            let told = try #require(try fault(401, text, headers: [("content-type", "text/plain")]))
            #expect(!"\(told)".contains("canary"))
        }
    }

    @Test(arguments: [
        (ApolloFault.keyRejected(detail: ""), "rejected the API key"),
        (.creditsUsedUp(detail: ""), "Apollo credits used up"),
        (.rateLimited(retryAfter: nil, window: nil, detail: ""), "Rate limit exceeded"),
        (.timedOut, "Apollo did not answer in time"), (.unreachable(""), "Apollo could not be reached"),
        (.unavailable(status: 500, detail: ""), "Apollo answered with an error (status 500)"),
    ])
    func `users are told which side failed`(fault: ApolloFault, words: String) {
        #expect(fault.failure(.organization).message.contains(words))
    }

    @Test func `NUL characters are taken out of what goes into the cache`() throws {
        let reply = try answer(200, #"{"organization": {"id": "1", "a\u0000": ["x\u0000y"]}}"#).get()
        #expect(reply.record?.members["a"] == ["xy"])
    }

    @Test func `a cache entry is read as Apollo sent it, and as the application kept it`() throws {
        let bare = try JSONText(#"{"id": "1", "name": "Nordlicht"}"#).decode(JSONValue.self)
        let wrapped = try JSONText(#"{"organization": {"name": "Nordlicht"}}"#).decode(JSONValue.self)
        #expect(ApolloRecord(in: bare, member: "organization")?.text("name") == "Nordlicht")
        #expect(ApolloRecord(in: wrapped, member: "organization")?.text("name") == "Nordlicht")
        #expect(ApolloRecord(in: [:], member: "organization") == nil)
    }
}
