import Crypto
import CryptoExtras
import FoundationEssentials
@testable import Tokens

/// Makes tokens, genuine and forged.
struct TokenForge {
    static let secret = "a-secret-of-the-tests-with-more-than-32-bytes"
    static let user = "a0000000-0000-4000-8000-000000000001"
    /// The time at which the tests stand still.
    static let now = 1_800_000_000.0

    /// RSA keys take long to make.
    static let shared = try! TokenForge()
    /// Somebody else's.
    static let other = try! TokenForge()

    let rsa: _RSA.Signing.PrivateKey
    let p256 = P256.Signing.PrivateKey()

    private init() throws { rsa = try _RSA.Signing.PrivateKey(keySize: .bits2048) }

    static func base64URL(_ bytes: some DataProtocol) -> String {
        var text = Data(bytes).base64EncodedString()
        while text.last == "=" { text.removeLast() }
        return String(text.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
    }

    static func base64URL(_ text: String) -> String { base64URL(Data(text.utf8)) }

    static func claims(_ more: String = "") -> String {
        #"{"sub":"\#(user)","role":"authenticated","aud":"authenticated","exp":\#(Int(now) + 600)\#(more)}"#
    }

    static func message(_ header: String, _ claims: String) -> String { "\(base64URL(header)).\(base64URL(claims))" }

    static func hs256(
        header: String = #"{"alg":"HS256","typ":"JWT"}"#, _ claims: String = claims(), secret: Data = Data(secret.utf8)
    ) -> String {
        let message = message(header, claims)
        let code = HMAC<SHA256>.authenticationCode(for: Data(message.utf8), using: SymmetricKey(data: secret))
        return "\(message).\(base64URL(Data(code)))"
    }

    func rs256(header: String = #"{"alg":"RS256","kid":"rsa"}"#, _ claims: String = claims()) throws -> String {
        let message = Self.message(header, claims)
        let signature = try rsa.signature(for: Data(message.utf8), padding: .insecurePKCS1v1_5)
        return "\(message).\(Self.base64URL(signature.rawRepresentation))"
    }

    func es256(header: String = #"{"alg":"ES256","kid":"ec"}"#, _ claims: String = claims()) throws -> String {
        let message = Self.message(header, claims)
        let signature = try p256.signature(for: Data(message.utf8))
        return "\(message).\(Self.base64URL(signature.rawRepresentation))"
    }

    /// The public keys as a server publishes them.
    func keySet(with more: String = "") throws -> String {
        let primitives = try rsa.publicKey.getKeyPrimitives()
        let point = p256.publicKey.rawRepresentation
        return """
            {"keys":[
              {"kty":"RSA","kid":"rsa","alg":"RS256","use":"sig","n":"\(Self.base64URL(primitives.modulus))",
               "e":"\(Self.base64URL(primitives.publicExponent))"},
              {"kty":"EC","kid":"ec","crv":"P-256","key_ops":["verify"],"x":"\(Self.base64URL(point.prefix(32)))",
               "y":"\(Self.base64URL(point.suffix(32)))"}\(more)]}
            """
    }

    /// Takes what any of the three keys signed.
    func verifier() throws -> TokenVerifier {
        TokenVerifier(keys: [Self.secretKey] + (try KeySet(parsing: keySet()).keys))
    }

    /// Takes what the public keys signed, and no secret.
    func publicVerifier() throws -> TokenVerifier { TokenVerifier(keys: try KeySet(parsing: keySet()).keys) }

    static var secretKey: VerificationKey {
        Array(secret.utf8).withUnsafeBytes { VerificationKey(secret: $0) }
    }

    static func refusal(_ token: String, by verifier: TokenVerifier, at time: Double = now) -> TokenRefusal? {
        do throws(TokenRefusal) {
            _ = try verifier.member(of: token, now: time)
            return nil
        } catch { return error }
    }
}
