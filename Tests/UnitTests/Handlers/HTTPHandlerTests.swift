import Crypto
import FoundationEssentials
import HTTPClient
import JobWorker
import Testing
import Webhooks

@testable import Handlers

@Suite struct HTTPHandlerTests {
    private func failure(_ status: Int, _ headers: [(name: String, value: String)] = []) -> JobFailure? {
        do {
            _ = try HTTPProcessor.result(of: Response(status: status, headers: headers, body: Array("why".utf8)))
            return nil
        } catch { return error as? JobFailure }
    }

    @Test(arguments: [(#"{"a":1}"#, #"{"a":1}"#), ("", nil), ("done", #"{"output":"done"}"#)])
    func `a 2xx body is the result`(body: String, result: String?) throws {
        let response = Response(status: 201, headers: [], body: Array(body.utf8))
        #expect(try HTTPProcessor.result(of: response)?.text == result)
    }

    @Test func `the status says what is to follow`() {
        for status in [408, 425, 429, 500, 503, 302] { #expect(failure(status)?.kind == .retryable) }
        for status in [400, 401, 404, 422] { #expect(failure(status)?.kind == .permanent) }
        for status in [408, 425, 429, 503] {
            #expect(failure(status, [("Retry-After", "17")])?.kind == .snooze(.seconds(17)))
        }
        #expect(failure(500, [("Retry-After", "17")])?.kind == .retryable)
        #expect(failure(429, [("Retry-After", "soon")])?.kind == .retryable)
        #expect(failure(404)?.causes == ["HTTP status 404", "Body: why"])
    }

    /// The example of the Standard Webhooks specification.
    @Test func `requests are signed as the specification says`() throws {
        let secret = try #require(WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        let headers = secret.headers(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: 1_614_265_330, body: Array(#"{"test": 2432232314}"#.utf8))
        #expect(headers.map(\.name) == ["webhook-id", "webhook-timestamp", "webhook-signature"])
        #expect(headers[2].value == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        #expect(WebhookSecret("secret") == nil)
    }

    @Test func `an attempt's token is good for that attempt, for its time, and for workers with the same keys`() throws
    {
        let (first, second) = (SymmetricKey(size: .bits256), SymmetricKey(size: .bits256))
        let tokens = try #require(AttemptTokens(keys: [first, second]))
        let attempt = AttemptTokens.Attempt(jobID: UUID(), lease: 42)
        let token = tokens.token(for: attempt, expiry: 1000)
        #expect(tokens.attempt(token, now: 999) == attempt)
        #expect(tokens.attempt(token, now: 1000) == nil)
        #expect(AttemptTokens(keys: [second, first])?.attempt(token, now: 1) == attempt)
        #expect(AttemptTokens(keys: [second])?.attempt(token, now: 1) == nil)
        #expect(tokens.attempt(token.replacingOccurrences(".42.", ".43."), now: 1) == nil)
        #expect(tokens.attempt(token.replacingOccurrences(".1000.", ".9000."), now: 1) == nil)
        #expect(AttemptTokens(keys: []) == nil)
    }
}

extension String {
    /// FoundationEssentials has none.
    fileprivate func replacingOccurrences(_ part: String, _ other: String) -> String {
        split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
    }
}
