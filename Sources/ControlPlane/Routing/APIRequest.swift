package import HTTPTypes
import HummingbirdCore
package import NIOCore

/// A request as a route's handler sees it.
package struct APIRequest: Sendable {
    package let caller: Caller
    /// The values in the path's places, by name.
    package let parameters: [String: String]
    package let headers: HTTPFields
    /// Complete, and within the limit.
    package let body: ByteBuffer
    /// What follows the question mark, as it was sent.
    private let query: String

    init(
        caller: Caller, parameters: [String: String] = [:], headers: HTTPFields = [:], body: ByteBuffer = ByteBuffer(),
        query: String = ""
    ) {
        self.caller = caller
        self.parameters = parameters
        self.headers = headers
        self.body = body
        self.query = query
    }

    /// All values of a query parameter, in order.
    package func queryValues(_ name: String) throws(APIError) -> [String] {
        var values: [String] = []
        for item in query.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts[0].percentDecoded == name else { continue }
            // Forms write a blank as "+".
            let text = parts.count == 2 ? String(parts[1].map { $0 == "+" ? " " : $0 }) : ""
            guard let value = text.percentDecoded else { throw .invalidParameter(name, "is not percent-encoded UTF-8") }
            values.append(value)
        }
        return values
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
}
