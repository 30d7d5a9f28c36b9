package import Crypto
import Glibc
import HTTPTypes
import Synchronization
package import Tokens

/// Who asks.
package enum Caller: Sendable, Hashable {
    case anonymous
    /// Somebody with an operator's token. The name is the token's, for the audit; `nil` where it has none.
    case `operator`(name: String?)
    /// A signed-in user of the application. What that user may see, the database decides.
    case member(Member)
}

/// Who may ask.
package enum Access: Sendable, Hashable {
    case anyone
    case operators
    /// Operators, and whoever has a genuine token of the application.
    case members
    /// Anyone on a Unix socket, whose file says who that may be; over TCP operators alone.
    case anyoneOnSocket
    /// Whoever has the token of a running attempt, which the route looks at itself.
    case attempt
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
    private struct State {
        var operators: [OperatorDigest]
        var members: TokenVerifier?
    }

    private let state: Mutex<State>

    /// - Parameter members: `nil` lets no members in.
    package init(operators: [OperatorDigest], members: TokenVerifier? = nil) {
        state = Mutex(State(operators: operators, members: members))
    }

    /// From the next request on, these are the tokens.
    package func replaceOperators(with operators: [OperatorDigest]) { state.withLock { $0.operators = operators } }

    /// From the next request on, this tells who is a member.
    package func replaceMembers(with members: TokenVerifier?) { state.withLock { $0.members = members } }

    /// Who a token stands for, operator or member.
    /// - Throws: As for a request that carries it.
    package func caller(withToken token: String) throws(APIError) -> Caller {
        try caller(of: [.authorization: "Bearer \(token)"], for: .members)
    }

    /// Whether an operator's token that had this mark still lets somebody in.
    package func knows(mark: String) -> Bool {
        state.withLock { $0.operators.contains { Self.mark(of: $0.digest) == mark } }
    }

    /// What a session keeps of an operator's token, to end when that token does: a digest of its digest.
    package static func mark(of token: String) -> String { mark(of: SHA256.hash(data: Array(token.utf8))) }

    private static func mark(of digest: SHA256Digest) -> String {
        SHA256.hash(data: Array(digest)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// - Throws: The answer for somebody who isn't let in: always the same, whatever is wrong.
    func caller(
        of headers: HTTPFields, for access: Access, isOnSocket: Bool = false
    ) throws(APIError) -> Caller {
        switch access {
        case .anyone, .attempt: return .anonymous
        case .anyoneOnSocket where isOnSocket: return .anonymous
        case .operators, .members, .anyoneOnSocket: break
        }
        let (operators, members) = state.withLock { ($0.operators, $0.members) }
        guard !operators.isEmpty || (access == .members && members != nil) else { throw .tokenNotConfigured }
        guard let token = Self.bearerToken(in: headers) else { throw .unauthorized }
        if let found = Self.find(token, in: operators) { return .operator(name: found.name) }
        guard let members else { throw .unauthorized }
        let member: Member
        do throws(TokenRefusal) {
            member = try members.member(of: String(Substring(token)), now: Self.now)
        } catch {
            throw error == .otherRole ? .otherRole : .unauthorized
        }
        guard access == .members else { throw .operatorsOnly }
        return .member(member)
    }

    /// By this machine's clock: a token is no row, and nobody else compares it.
    private static var now: Double {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
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
