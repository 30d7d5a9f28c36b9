package import Crypto
package import FoundationEssentials

/// Tokens with which the other side of a running attempt may tell progress and add log rows by HTTP.
///
/// Each names the job, the attempt's lease and a time after which it is worth nothing; all workers that have the same
/// keys accept it. What it is good for ends with the attempt: the lease's token is compared when something is written.
package struct AttemptTokens: Sendable {
    /// What a token that is in order stands for.
    package struct Attempt: Sendable, Hashable {
        package let jobID: UUID
        package let lease: Int64

        package init(jobID: UUID, lease: Int64) {
            self.jobID = jobID
            self.lease = lease
        }
    }

    private let keys: [SymmetricKey]

    /// - Parameter keys: For nothing else. The first signs, all are accepted. `nil` for an empty list.
    package init?(keys: [SymmetricKey]) {
        guard !keys.isEmpty else { return nil }
        self.keys = keys
    }

    /// - Parameter expiry: Seconds since 1970.
    package func token(for attempt: Attempt, expiry: Int) -> String {
        let message = "\(attempt.jobID.uuidString.lowercased()).\(attempt.lease).\(expiry)"
        let code = HMAC<SHA256>.authenticationCode(for: Data(message.utf8), using: keys[0])
        return "\(AttemptTokens.prefix)\(message).\(code.map { AttemptTokens.hexadecimal($0) }.joined())"
    }

    /// - Parameter now: Seconds since 1970.
    /// - Returns: `nil` for what isn't a token, was signed by others, or is over.
    package func attempt(_ token: String, now: Int) -> Attempt? {
        guard token.utf8.count <= 300, token.hasPrefix(AttemptTokens.prefix) else { return nil }
        let parts = token.dropFirst(AttemptTokens.prefix.count).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4, let id = UUID(uuidString: String(parts[0])), let lease = Int64(parts[1]),
            let expiry = Int(parts[2]), now < expiry, let code = AttemptTokens.bytes(parts[3])
        else { return nil }
        let message = Data(parts[0...2].joined(separator: ".").utf8)
        let isOurs = keys.contains {
            HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: message, using: $0)
        }
        return isOurs ? Attempt(jobID: id, lease: lease) : nil
    }

    /// Tells them from all other tokens.
    package static let prefix = "jwa1."

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }

    private static func bytes(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count == 64 else { return nil }
        var bytes: [UInt8] = []
        var rest = text
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
