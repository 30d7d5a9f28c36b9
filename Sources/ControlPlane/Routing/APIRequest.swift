package import FoundationEssentials
package import HTTPTypes
import HummingbirdCore
package import JobWorker
package import NIOCore

/// A request as a route's handler sees it: of the form that the route declares.
package struct APIRequest: Sendable {
    package let caller: Caller
    /// The values in the path's places, by name.
    package let parameters: [String: String]
    package let headers: HTTPFields
    /// Complete, and within the limit.
    package let body: ByteBuffer
    /// The body as the route's schema reads it; `nil` where none was declared, or none came.
    package let document: JSONNode?
    /// The host and port that the client asked for, as it wrote them.
    package let authority: String?
    /// By which way the caller came, for the audit.
    package let via: Requester.Via
    /// What follows the question mark, as it was sent.
    private let query: String

    package init(
        caller: Caller, parameters: [String: String] = [:], headers: HTTPFields = [:], body: ByteBuffer = ByteBuffer(),
        document: JSONNode? = nil, query: String = "", authority: String? = nil, via: Requester.Via = .api
    ) {
        self.caller = caller
        self.parameters = parameters
        self.headers = headers
        self.body = body
        self.document = document
        self.query = query
        self.authority = authority
        self.via = via
    }

    /// All values of a query parameter, in order.
    package func queryValues(_ name: String) throws(APIError) -> [String] {
        var values: [String] = []
        for item in try Self.items(of: query) where item.name == name { values.append(item.value) }
        return values
    }

    /// A query parameter that is given once; `nil` where it is not given.
    package func text(_ name: String) throws(APIError) -> String? {
        let values = try queryValues(name)
        guard values.count < 2 else { throw .invalidParameter(name, "is there twice") }
        return values.first
    }

    /// The values of a query parameter that may be a list.
    package func list(_ name: String) throws(APIError) -> [String] {
        try queryValues(name).flatMap { $0.split(separator: ",").map(String.init) }
    }

    /// A query parameter, or a place in the path, that is a UUID.
    package func uuid(_ name: String) throws(APIError) -> UUID? {
        let place = parameters[name]
        guard let text = place == nil ? try text(name) : place else { return nil }
        guard let id = UUID(uuidString: text) else { throw .invalidParameter(name, "must be a UUID") }
        return id
    }

    /// The UUID in a place of the path.
    package func id(_ name: String = "id") throws(APIError) -> UUID {
        guard let id = try uuid(name) else { throw .invalidParameter(name, "is missing") }
        return id
    }

    /// A query parameter that is a whole number without sign; `nil` where it is not given.
    package func number(_ name: String, in range: ClosedRange<Int>) throws(APIError) -> Int? {
        let values = try queryValues(name)
        guard let text = values.first else { return nil }
        guard values.count == 1, !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(text), range.contains(number)
        else {
            throw .invalidParameter(
                name, "must be one whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// What a query holds, in order, decoded.
    package static func items(of query: String) throws(APIError) -> [(name: String, value: String)] {
        var items: [(name: String, value: String)] = []
        for item in query.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts[0].percentDecoded else {
                throw .invalidParameter("a parameter's name", "is not percent-encoded UTF-8")
            }
            // Forms write a blank as "+".
            let text = parts.count == 2 ? String(parts[1].map { $0 == "+" ? " " : $0 }) : ""
            guard let value = text.percentDecoded else { throw .invalidParameter(name, "is not percent-encoded UTF-8") }
            items.append((name, value))
        }
        return items
    }
}
