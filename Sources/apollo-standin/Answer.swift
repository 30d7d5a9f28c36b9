/// What the stand-in says to one request.
struct Answer: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        /// So many bytes of an unending company name.
        case endless(Int)
        /// No answer: the connection is closed.
        case reset
    }

    /// 0 where no answer is sent.
    var status = 200
    var contentType = "application/json; charset=utf-8"
    var headers: [(name: String, value: String)] = []
    var body: Body
    var delay: Duration = .zero
    /// Whether Apollo would charge a credit: a record was found.
    var matched = false

    static func json(_ document: JSONText, status: Int = 200, matched: Bool = false) -> Answer {
        Answer(status: status, body: .bytes(document.bytes), matched: matched)
    }

    static func fixture(_ bytes: [UInt8], status: Int = 200, matched: Bool = false) -> Answer {
        Answer(status: status, body: .bytes(bytes), matched: matched)
    }

    static func plain(_ bytes: [UInt8], status: Int) -> Answer {
        Answer(status: status, contentType: "text/plain; charset=utf-8", body: .bytes(bytes))
    }

    /// 429 in Apollo's words.
    static func limited(_ endpoint: Endpoint, _ window: RateWindow, limit: Int, retryAfter: Int? = nil) -> Answer {
        var answer = Answer.json(
            [
                "message": .text(
                    """
                    The maximum number of api calls allowed for \(endpoint.path) is \(limit) times per \
                    \(window.rawValue).
                    """
                )
            ], status: 429)
        if let retryAfter { answer.headers.append(("retry-after", String(retryAfter))) }
        return answer
    }
}

/// The two endpoints that cost credits.
enum Endpoint: String, Sendable {
    case organization = "organizations/enrich"
    case person = "people/match"

    var path: String { "api/v1/\(rawValue)" }
    var member: String { self == .organization ? "organization" : "person" }
}
