import FoundationEssentials

/// Public keys as a JWKS document lists them (RFC 7517).
package struct KeySet: Sendable {
    package let keys: [VerificationKey]

    /// - Parameter text: `{"keys":[…]}`. Keys for other purposes and of other kinds are passed over.
    /// - Throws: `KeySetError` where it is no such document, a key in it is broken, or none of them verifies RS256 or
    ///   ES256.
    package init(parsing text: String) throws(KeySetError) {
        guard let document = try? JSONDecoder().decode(Document.self, from: Data(text.utf8)) else {
            throw .unreadable
        }
        var keys: [VerificationKey] = []
        for (index, entry) in document.keys.enumerated() {
            guard entry.use.map({ $0 == "sig" }) ?? true, entry.operations?.contains("verify") ?? true else { continue }
            do {
                if let key = try entry.key { keys.append(key) }
            } catch {
                throw .badKey(position: index + 1)
            }
        }
        guard !keys.isEmpty else { throw .empty }
        self.keys = keys
    }

    private struct Document: Decodable {
        let keys: [Entry]
    }

    private struct Entry: Decodable {
        let type: String
        let id: String?
        let use: String?
        let operations: [String]?
        let algorithm: String?
        let curve: String?
        let x: String?
        let y: String?
        let n: String?
        let e: String?

        private enum CodingKeys: String, CodingKey {
            case type = "kty"
            case id = "kid"
            case use, x, y, n, e
            case operations = "key_ops"
            case algorithm = "alg"
            case curve = "crv"
        }

        private struct Broken: Error {}

        /// `nil` for a key of another kind.
        var key: VerificationKey? {
            get throws {
                switch (type, curve, algorithm) {
                case ("RSA", _, nil), ("RSA", _, "RS256"):
                    guard let n = n?.base64URLDecoded, let e = e?.base64URLDecoded else { throw Broken() }
                    return try VerificationKey(id: id, modulus: n, exponent: e)
                case ("EC", "P-256", nil), ("EC", "P-256", "ES256"):
                    guard let x = x?.base64URLDecoded, let y = y?.base64URLDecoded, x.count == 32, y.count == 32 else {
                        throw Broken()
                    }
                    return try VerificationKey(id: id, x: x, y: y)
                default: return nil
                }
            }
        }
    }
}

/// Why a JWKS document can't be used.
package enum KeySetError: Error, Sendable, Hashable, CustomStringConvertible {
    case unreadable
    /// The first key has position 1.
    case badKey(position: Int)
    case empty

    package var description: String {
        switch self {
        case .unreadable: #"it is not a JWKS document: {"keys":[…]}"#
        case .badKey(let position): "key \(position) of it is damaged, or an RSA key of fewer than 2048 bits"
        case .empty: "it holds no key for RS256 or ES256"
        }
    }
}
