package import Crypto
import HTTPTypes
import Synchronization

/// Who asks.
package enum Caller: Sendable, Hashable {
    case anonymous
    /// Somebody with an operator's token. The name is the token's, for the audit; `nil` where it has none.
    case `operator`(name: String?)
}

/// Who may ask.
package enum Access: Sendable, Hashable {
    case anyone
    case operators
    /// Anyone on a Unix socket, whose file says who that may be; over TCP operators alone.
    case anyoneOnSocket
}

/// An operator's token as it is kept: enough to recognise it, not enough to use it.
package struct OperatorDigest: Sendable, Hashable {
    package let name: String?
    package let digest: SHA256Digest

    package init(name: String?, token: UnsafeRawBufferPointer) {
        self.name = name
        digest = SHA256.hash(data: token)
    }
}

/// Tells who asks, by the `Authorization` header alone.
///
/// A `Mutex`: a reload replaces the tokens while requests are compared with them.
package final class Authentication: Sendable {
    private let operators: Mutex<[OperatorDigest]>

    package init(operators: [OperatorDigest]) { self.operators = Mutex(operators) }

    /// From the next request on, these are the tokens.
    package func replaceOperators(with operators: [OperatorDigest]) { self.operators.withLock { $0 = operators } }

    /// - Throws: The answer for somebody who isn't let in: always the same, whatever is wrong.
    func caller(
        of headers: HTTPFields, for access: Access, isOnSocket: Bool = false
    ) throws(APIError) -> Caller {
        switch access {
        case .anyone: return .anonymous
        case .anyoneOnSocket where isOnSocket: return .anonymous
        case .operators, .anyoneOnSocket:
            let operators = operators.withLock { $0 }
            guard !operators.isEmpty else { throw .tokenNotConfigured }
            guard let token = Self.bearerToken(in: headers), let found = Self.find(token, in: operators) else {
                throw .unauthorized
            }
            return .operator(name: found.name)
        }
    }

    /// Digests are compared in constant time and with every entry, so that the time tells neither how much of a token
    /// is right nor whose it is.
    private static func find(_ token: Substring.UTF8View, in operators: [OperatorDigest]) -> OperatorDigest? {
        let digest = SHA256.hash(data: Array(token))
        return operators.reduce(nil) { found, entry in entry.digest == digest ? entry : found }
    }

    /// `nil` unless there is exactly one header, with the scheme `Bearer`.
    private static func bearerToken(in headers: HTTPFields) -> Substring.UTF8View? {
        let values = headers[values: .authorization]
        guard values.count == 1, let blank = values[0].firstIndex(of: " "),
            values[0][..<blank].lowercased() == "bearer"
        else { return nil }
        return values[0][blank...].drop { $0 == " " }.utf8
    }
}
