import FoundationEssentials

/// Tells who a JSON Web Token (RFC 7519) stands for, if it is genuine and in force.
package struct TokenVerifier: Sendable {
    /// How far two clocks may be apart.
    package static let leewaySeconds = 30.0
    /// The one role that members have, and who the token is meant for.
    package static let role = "authenticated"

    private let keys: [VerificationKey]

    package init(keys: [VerificationKey]) { self.keys = keys }

    /// - Parameters:
    ///   - token: Three parts of base64url with dots between them.
    ///   - now: Seconds since 1970.
    /// - Throws: `TokenRefusal`.
    package func member(of token: String, now: Double) throws(TokenRefusal) -> Member {
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let head = parts[0].base64URLDecoded, let claims = parts[1].base64URLDecoded,
            let signature = parts[2].base64URLDecoded,
            let header = try? JSONDecoder().decode(Header.self, from: head)
        else { throw .malformed }
        // What must be understood, and isn't (RFC 7515, 4.1.11).
        guard header.critical == nil else { throw .malformed }
        let candidates = keys.filter { key in
            key.algorithm == header.algorithm && (header.keyID == nil || key.id == nil || key.id == header.keyID)
        }
        let message = Data("\(parts[0]).\(parts[1])".utf8)
        guard candidates.contains(where: { $0.isValid(signature, for: message) }) else { throw .forged }
        guard let text = String(validating: claims, as: UTF8.self),
            let claims = try? JSONDecoder().decode(Claims.self, from: claims)
        else { throw .malformed }
        return try member(claims, text, now: now)
    }

    private func member(_ claims: Claims, _ text: String, now: Double) throws(TokenRefusal) -> Member {
        // One that never ends could never be taken back.
        guard let expiry = claims.expiry, now < expiry + Self.leewaySeconds else { throw .expired }
        guard (claims.notBefore ?? now) <= now + Self.leewaySeconds else { throw .notYetValid }
        guard claims.audience?.contains(Self.role) ?? true else { throw .otherAudience }
        guard claims.role == Self.role else { throw .otherRole }
        guard let subject = claims.subject, let userID = UUID(uuidString: subject) else { throw .noUser }
        return Member(userID: userID, claims: text, expiresAt: expiry)
    }

    private struct Header: Decodable {
        let algorithm: String
        let keyID: String?
        let critical: [String]?

        private enum CodingKeys: String, CodingKey {
            case algorithm = "alg"
            case keyID = "kid"
            case critical = "crit"
        }
    }

    private struct Claims: Decodable {
        let expiry: Double?
        let notBefore: Double?
        let audience: [String]?
        let role: String?
        let subject: String?

        private enum CodingKeys: String, CodingKey {
            case expiry = "exp"
            case notBefore = "nbf"
            case audience = "aud"
            case role
            case subject = "sub"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            expiry = try container.decodeIfPresent(Double.self, forKey: .expiry)
            notBefore = try container.decodeIfPresent(Double.self, forKey: .notBefore)
            role = try container.decodeIfPresent(String.self, forKey: .role)
            subject = try container.decodeIfPresent(String.self, forKey: .subject)
            if let one = try? container.decodeIfPresent(String.self, forKey: .audience) {
                audience = [one]
            } else {
                audience = try container.decodeIfPresent([String].self, forKey: .audience)
            }
        }
    }
}

/// Why a token lets nobody in.
package enum TokenRefusal: Error, Sendable, Hashable {
    case malformed
    /// No key of ours signed it by the algorithm that it names.
    case forged
    /// Its time is over, or it names no end.
    case expired
    case notYetValid
    case otherAudience
    /// Genuine, but not a member's: a service's, or that of visitors.
    case otherRole
    /// Its subject is no user.
    case noUser
}
