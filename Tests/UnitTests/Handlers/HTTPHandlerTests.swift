import Crypto
import FoundationEssentials
import HTTPClient
import JobWorker
import Logging
import Support
import Synchronization
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
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            #expect(failure(status, [("Retry-After", "17")])?.kind == .snooze(.seconds(17)))
        }
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

    @Test func `an attempt after one that was given back has another name, and the same number`() async throws {
        let names = Mutex<[String?]>([])
        try await withScriptedServer { request in
            names.withLock { $0.append(request.header("webhook-id")) }
            return .answer("{}")
        } _: { server in
            let folder = try EndpointFolder(server.url())
            let service = HandlerService(tokens: nil, version: "1", credentials: nil)
            _ = await service.load(folder.path, taken: [])
            let processor = try #require(service.processors.first)
            let run = HandlerRun(attempt: 1)
            for lease: Int64? in [nil, 7, 8] {
                let context = JobContext(
                    deadline: .now + .seconds(60), logger: Logger(label: "test"), lease: lease, reporter: run.record)
                _ = try await processor.process(run.job, context: context)
            }
            await service.close()
            let id = run.job.id.uuidString.lowercased()
            #expect(names.withLock { $0 } == ["\(id).1", "\(id).7", "\(id).8"])
        }
    }

    @Test func `as many are asked at once as the worker runs, each for as long as its attempt may take`() async throws {
        let waiting = Mutex(0)
        let gate = ThreadGate()
        try await withScriptedServer { _ in
            // Nobody is answered before all have asked.
            let isLast = waiting.withLock { count in
                count += 1
                return count == 40
            }
            isLast ? gate.open() : gate.wait()
            return .answer("{}")
        } _: { server in
            let folder = try EndpointFolder(server.url())
            let service = HandlerService(tokens: nil, version: "1", credentials: nil)
            _ = await service.load(folder.path, taken: [])
            let processor = try #require(service.processors.first)
            let done = try await withThrowingTaskGroup { group in
                for _ in 0..<40 {
                    group.addTask {
                        let run = HandlerRun()
                        let context = JobContext(
                            deadline: .now + .seconds(10), logger: Logger(label: "test"), reporter: run.record)
                        return try await processor.process(run.job, context: context)?.text
                    }
                }
                return try await group.reduce(into: 0) { count, text in count += text == "{}" ? 1 : 0 }
            }
            gate.open()
            await service.close()
            #expect(done == 40)
        }
        #expect(HandlerService.clientConfiguration.stallTimeout == nil)
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

/// A folder with one handler, which asks this address; removed with it.
private final class EndpointFolder {
    let path = "/tmp/jobworker-endpoints-\(UUID().uuidString)"

    init(_ url: String) throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".write(
            toFile: "\(path)/secret", atomically: true, encoding: .utf8)
        try "job_type: tested\nhttp: \(url)\nsecret_file: \(path)/secret\n".write(
            toFile: "\(path)/tested.yaml", atomically: true, encoding: .utf8)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension String {
    /// FoundationEssentials has none.
    fileprivate func replacingOccurrences(_ part: String, _ other: String) -> String {
        split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
    }
}
