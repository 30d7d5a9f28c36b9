import Crypto
import CryptoExtras
import FoundationEssentials

/// A key that tells a genuine signature from a forged one. The key decides by which algorithm; what a token says of
/// that is only compared.
package struct VerificationKey: Sendable {
    private enum Kind {
        case secret(SymmetricKey)
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
    }

    /// As the header of a token names it; `nil` where the key has no name.
    let id: String?
    private let kind: Kind

    /// Verifies HS256.
    /// - Parameter secret: All of its bytes are the key, as Supabase takes its JWT secret.
    package init(secret: UnsafeRawBufferPointer) {
        id = nil
        kind = .secret(SymmetricKey(data: secret))
    }

    /// Verifies RS256.
    /// - Throws: Where these are no RSA key of 2048 bits or more.
    init(id: String?, modulus: Data, exponent: Data) throws {
        self.id = id
        kind = .rsa(try _RSA.Signing.PublicKey(n: modulus, e: exponent))
    }

    /// Verifies ES256.
    /// - Throws: Where this is no point of the curve.
    init(id: String?, x: Data, y: Data) throws {
        self.id = id
        kind = .p256(try P256.Signing.PublicKey(rawRepresentation: x + y))
    }

    /// The one algorithm it serves, by its name in RFC 7518.
    var algorithm: String {
        switch kind {
        case .secret: "HS256"
        case .rsa: "RS256"
        case .p256: "ES256"
        }
    }

    func isValid(_ signature: Data, for message: Data) -> Bool {
        switch kind {
        case .secret(let key):
            // Compares in constant time.
            return HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: message, using: key)
        case .rsa(let key):
            return key.isValidSignature(
                _RSA.Signing.RSASignature(rawRepresentation: signature), for: message,
                padding: .insecurePKCS1v1_5)
        case .p256(let key):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: message)
        }
    }
}
