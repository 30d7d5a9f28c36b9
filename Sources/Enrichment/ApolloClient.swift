import FoundationEssentials
import HTTPClient
import JobWorker

/// The endpoints that cost credits.
enum ApolloEndpoint: String, Sendable, Hashable {
    case organization = "organizations/enrich"
    case person = "people/match"

    /// The member of an answer, and of a cache entry, that holds the record.
    var member: String { self == .organization ? "organization" : "person" }
}

/// Speaks Apollo's API: https://docs.apollo.io/reference
struct ApolloClient: Sendable {
    /// A usable answer.
    struct Reply: Sendable, Hashable {
        /// `nil`: Apollo knows nobody of this kind, and charges nothing.
        let record: ApolloRecord?
        let usage: ApolloUsage
        let status: Int
    }

    let client: Client
    /// Without a trailing slash.
    let baseURL: String
    let timeout: Duration

    init(client: Client, baseURL: String, timeout: Duration) {
        self.client = client
        self.baseURL = baseURL.last == "/" ? String(baseURL.dropLast()) : baseURL
        self.timeout = timeout
    }

    /// - Throws: `ApolloFault`, or `CancellationError`.
    func organization(domain: String, key: APIKey) async throws -> Reply {
        try await ask(.organization, method: "GET", [("domain", domain)], key: key)
    }

    /// Personal e-mail addresses and phone numbers, which cost more, are not asked for.
    /// - Throws: `ApolloFault`, or `CancellationError`.
    func person(_ query: PersonQuery, key: APIKey) async throws -> Reply {
        try await ask(.person, method: "POST", query.items, key: key)
    }

    /// Whether Apollo knows the key; free of charge.
    /// - Throws: `ApolloFault`, or `CancellationError`.
    func isLoggedIn(key: APIKey) async throws -> Bool {
        let response = try await send(method: "GET", path: "/v1/auth/health", key: key)
        // 200 even for a bad key; the word is in the document.
        try Self.check(response, key: key)
        guard let document = Self.document(response) else { throw ApolloFault.unreadable("not JSON") }
        return document["is_logged_in"]?.bool == true
    }

    private func ask(
        _ endpoint: ApolloEndpoint, method: String, _ items: [(String, String)], key: APIKey
    ) async throws -> Reply {
        let response = try await send(
            method: method, path: "/api/v1/\(endpoint.rawValue)?\(encodeQuery(items))", key: key)
        return try Self.reply(endpoint, response, key: key)
    }

    private func send(method: String, path: String, key: APIKey) async throws -> Response {
        do {
            return try await client.send(
                Request(
                    method: method, url: baseURL + path,
                    headers: [
                        ("X-Api-Key", key.reveal()), ("Accept", "application/json"), ("Cache-Control", "no-cache"),
                    ],
                    body: method == "POST" ? [] : nil, timeout: timeout, connectTimeout: .seconds(10),
                    maxResponseBytes: 5 * 1024 * 1024))
        } catch let error as HTTPError {
            switch error {
            case .timedOut: throw ApolloFault.timedOut
            case .responseTooLarge(let limit): throw ApolloFault.unreadable("it is longer than \(limit) bytes")
            case .headersTooLarge, .connectionFailed, .addressRefused, .invalidURL, .invalidHeader, .transport,
                .clientShutDown:
                throw ApolloFault.unreachable(key.redacted(in: "\(error)").withoutPersonalData)
            }
        }
    }

    // MARK: Answers

    static func reply(_ endpoint: ApolloEndpoint, _ response: Response, key: APIKey) throws(ApolloFault) -> Reply {
        let usage = ApolloUsage(response)
        // An endpoint's own "not found" is an answer, not a mistake in the address.
        if response.status == 404 { return Reply(record: nil, usage: usage, status: 404) }
        try check(response, key: key)
        guard let document = document(response) else {
            let type = response.header("Content-Type")?.prefix { $0 != ";" }.lowercased() ?? "no content type"
            throw .unreadable(type.contains("json") ? "it is not valid JSON" : "JSON was expected, not \(type.cut(60))")
        }
        // Whatever is neither an object nor null has nothing to do with the question.
        guard document.object != nil || document == .null else { throw .unreadable("a JSON object was expected") }
        let record = ApolloRecord(in: document.withoutNUL, member: endpoint.member)
        return Reply(record: record, usage: usage, status: response.status)
    }

    private static func check(_ response: Response, key: APIKey) throws(ApolloFault) {
        guard response.status != 200 else { return }
        let detail = detail(response, hiding: key)
        let retryAfter = RetryAfter.delay(response.header("Retry-After"), date: response.header("Date"))
        switch response.status {
        case 201...299: return
        case 401: throw .keyRejected(detail: detail)
        case 402: throw .creditsUsedUp(detail: detail)
        case 403: throw .endpointRefused(detail: detail)
        case 422 where detail.lowercased().contains("credit"): throw .creditsUsedUp(detail: detail)
        case 429: throw .rateLimited(retryAfter: retryAfter, window: ApolloWindow(in: detail), detail: detail)
        case 408, 425, 503:
            if let retryAfter { throw .comeBack(after: retryAfter, status: response.status) }
            throw .unavailable(status: response.status, detail: detail)
        case 400...499: throw .refused(status: response.status, detail: detail)
        default: throw .unavailable(status: response.status, detail: detail)
        }
    }

    /// The sentence of an error: JSON's `message`, `error` or `error_message`, else the first line of a text.
    ///
    /// It may quote the request, and goes where all members can read it.
    private static func detail(_ response: Response, hiding key: APIKey) -> String {
        // Before it is cut: half a key would not be recognised.
        func discreet(_ text: String) -> String { key.redacted(in: text).withoutPersonalData.cut(300) }
        if let document = document(response) {
            for name in ["message", "error", "error_message"] {
                if let text = document[name]?.string?.cleaned { return discreet(text) }
                if let text = document[name]?["message"]?.string?.cleaned { return discreet(text) }
            }
            return "no message"
        }
        let text = String(decoding: response.body.prefix(2000), as: UTF8.self)
        guard response.header("Content-Type")?.lowercased().contains("html") != true, !text.hasPrefix("<") else {
            return "a web page"
        }
        return text.split(whereSeparator: \.isNewline).first.flatMap { String($0).cleaned }.map(discreet)
            ?? "no message"
    }

    private static func document(_ response: Response) -> JSONValue? {
        try? JSONDecoder().decode(JSONValue.self, from: Data(response.body))
    }
}

/// How to recognise a person; what is `nil` is not sent.
struct PersonQuery: Sendable, Hashable {
    var email: String?
    var linkedInURL: String?
    var firstName: String?
    var lastName: String?
    /// Of the contact's company.
    var domain: String?

    var items: [(String, String)] {
        let known: [(String, String?)] = [
            ("email", email), ("linkedin_url", linkedInURL), ("first_name", firstName), ("last_name", lastName),
            ("domain", domain),
        ]
        return known.compactMap { name, value in value.map { (name, $0) } }
            + [("reveal_personal_emails", "false"), ("reveal_phone_number", "false")]
    }
}

/// What the headers of an answer tell about the minute's window.
struct ApolloUsage: Sendable, Hashable {
    /// Requests the key may make in a minute.
    var perMinute: Int?
    var leftThisMinute: Int?

    init(perMinute: Int? = nil, leftThisMinute: Int? = nil) {
        self.perMinute = perMinute
        self.leftThisMinute = leftThisMinute
    }

    init(_ response: Response) {
        perMinute = response.header("x-rate-limit-minute").flatMap { Int($0) }
        leftThisMinute = response.header("x-minute-requests-left").flatMap { Int($0) }
    }
}
