import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// What a request brings along: its connection, so that it can be closed without an answer.
struct StandinContext: InitializableFromSource {
    let channel: any Channel
    let logger: Logger

    init(source: ApplicationRequestContextSource) {
        channel = source.channel
        logger = source.logger
    }
}

/// Routes a request, checks its key and its limits, and writes the answer.
struct StandinResponder: HTTPResponder {
    let book: RequestBook
    let latency: Duration

    private struct ConnectionClosed: Error {}

    func respond(to request: Request, context: StandinContext) async throws -> Response {
        var path = request.uri.path
        if path.hasPrefix("/api/") { path.removeFirst("/api".count) }
        let answer: Answer
        switch (request.method, path) {
        case (.get, "/v1/auth/health"):
            let key = Self.key(in: request.headers)
            answer = .json(["healthy": .bool(true), "is_logged_in": .bool(key?.hasPrefix("good") == true)])
        case (.get, "/v1/organizations/enrich"), (.post, "/v1/organizations/enrich"):
            answer = try await enrich(.organization, request)
        case (.post, "/v1/people/match"):
            answer = try await enrich(.person, request)
        case (.get, "/standin/requests"):
            answer = .json(book.document)
        case (.post, "/standin/reset"):
            book.reset()
            answer = .json(["success": .bool(true)])
        default:
            answer = .json(["error": "Not Found"], status: 404)
        }
        context.logger.info("answered", metadata: ["path": "\(request.uri.path)", "status": "\(answer.status)"])
        return try await send(answer, on: context.channel)
    }

    // MARK: Questions

    private func enrich(_ endpoint: Endpoint, _ request: Request) async throws -> Answer {
        if latency > .zero { try await Task.sleep(for: latency) }
        let body = try await request.body.collect(upTo: 1 << 20)
        let parameters = Self.parameters(request, body: body)
        let key = Self.key(in: request.headers)
        let question = Self.question(endpoint, parameters)
        var answer = answer(endpoint, parameters, key: key, question: question)
        if answer.status < 400, let key { answer.headers += book.usageHeaders(key: key) }
        book.record(
            endpoint: endpoint, subject: question?.subject, key: key, status: answer.status, matched: answer.matched)
        if answer.delay > .zero { try await Task.sleep(for: answer.delay) }
        return answer
    }

    private func answer(
        _ endpoint: Endpoint, _ parameters: [String: String], key: String?, question: AnswerBook.Question?
    ) -> Answer {
        if parameters["api_key"] != nil {
            return .json(["error": "Please pass the API key in the X-Api-Key header"], status: 422)
        }
        guard let key else { return .plain(PackageResources.error_401_txt, status: 401) }
        if key.hasPrefix("forbidden") {
            return .json(
                [
                    "error": .text("\(endpoint.path) is not accessible with this api_key"),
                    "error_code": "API_INACCESSIBLE",
                ], status: 403)
        }
        if key.hasPrefix("broke") {
            return .json(["error": "You have insufficient credits to perform this action"], status: 402)
        }
        guard key.hasPrefix("good") else {
            return endpoint == .organization
                ? .plain(PackageResources.error_401_txt, status: 401)
                : .fixture(PackageResources.error_401_json, status: 401)
        }
        if let refusal = book.admit(key: key) {
            return .limited(endpoint, refusal.window, limit: refusal.limit)
        }
        guard var question else {
            return endpoint == .organization
                ? .fixture(PackageResources.error_422_json, status: 422)
                : .json(["error": "Not enough parameters to identify a person"], status: 422)
        }
        question.key = key
        return AnswerBook.answer(question, earlier: book.earlierRequests(for: question.subject))
    }

    /// - Returns: `nil` when nothing identifies a company or a person.
    private static func question(_ endpoint: Endpoint, _ parameters: [String: String]) -> AnswerBook.Question? {
        let domain = parameters["domain"]?.lowercased()
        guard endpoint == .person else {
            return domain.map { AnswerBook.Question(endpoint: endpoint, subject: $0) }
        }
        let email = parameters["email"]?.lowercased()
        let parts = email?.split(separator: "@", maxSplits: 1).map(String.init) ?? []
        let linkedIn = parameters["linkedin_url"]
        let slug = linkedIn?.split(separator: "/").last.map { $0.lowercased() }
        guard let subject = parts.count == 2 ? parts[1] : slug ?? domain else { return nil }
        return AnswerBook.Question(
            endpoint: endpoint, subject: subject, localPart: parts.count == 2 ? parts[0] : nil, email: email,
            linkedIn: linkedIn, firstName: parameters["first_name"], lastName: parameters["last_name"])
    }

    /// Query and JSON body together, without empty values; the query wins.
    private static func parameters(_ request: Request, body: ByteBuffer) -> [String: String] {
        var parameters: [String: String] = [:]
        if case .object(let document) = try? JSONDecoder().decode(JSONText.self, from: Data(body.readableBytesView)) {
            for (name, value) in document {
                if case .text(let text) = value { parameters[name] = text }
            }
        }
        for (name, value) in request.uri.queryParameters { parameters[String(name)] = String(value) }
        return parameters.filter { !$0.value.isEmpty }
    }

    private static func key(in headers: HTTPFields) -> String? {
        if let name = HTTPField.Name("X-Api-Key"), let key = headers[name], !key.isEmpty { return key }
        guard let value = headers[.authorization], value.lowercased().hasPrefix("bearer ") else { return nil }
        return String(value.dropFirst("bearer ".count))
    }

    // MARK: Answers

    private func send(_ answer: Answer, on channel: any Channel) async throws -> Response {
        var headers = HTTPFields()
        headers[.contentType] = answer.contentType
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        let body: ResponseBody
        switch answer.body {
        case .bytes(let bytes):
            body = ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
        case .endless(let count):
            body = ResponseBody(contentLength: count) { writer in
                let chunk = ByteBuffer(repeating: UInt8(ascii: "a"), count: 64 * 1024)
                let start = ByteBuffer(string: #"{"organization":{"name":""#)
                try await writer.write(start)
                var left = count - start.readableBytes
                while left > 0 {
                    try await writer.write(chunk.getSlice(at: 0, length: min(left, chunk.readableBytes)) ?? chunk)
                    left -= chunk.readableBytes
                }
                try await writer.finish(nil)
            }
        case .reset:
            try? await channel.close()
            throw ConnectionClosed()
        }
        return Response(status: .init(code: answer.status), headers: headers, body: body)
    }
}
