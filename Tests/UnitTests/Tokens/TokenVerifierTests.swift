import Crypto
import CryptoExtras
import FoundationEssentials
import Testing

@testable import Tokens

@Suite struct TokenVerifierTests {
    private let forge = TokenForge.shared
    private let verifier: TokenVerifier

    init() throws { verifier = try forge.verifier() }

    private func refusal(_ token: String) -> TokenRefusal? { TokenForge.refusal(token, by: verifier) }

    @Test func `a genuine token of each algorithm tells its user, claims and end`() throws {
        for token in [TokenForge.hs256(), try forge.rs256(), try forge.es256()] {
            let member = try verifier.member(of: token, now: TokenForge.now)
            #expect(member.userID.uuidString.lowercased() == TokenForge.user)
            #expect(member.claims == TokenForge.claims())
            #expect(member.expiresAt == TokenForge.now + 600)
        }
    }

    @Test func `a token as anybody's library makes it is taken`() throws {
        // Made by another program, from the secret alone.
        let token =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEiLCJyb2xlIjoiYXV0aGVudGljYXRlZCIsImF1ZCI6ImF1dGhlbnRpY2F0ZWQiLCJleHAiOjE4MDAwMDA2MDB9.9SRrbiQsQbivp5gZ9hyT_gt0M7wgeZXMY1bbsnG-2Jg"
        #expect(refusal(token) == nil)
    }

    @Test(arguments: ["none", "None", "NONE", "nOnE", "", "HS512", "HS384", "RS512", "PS256", "hs256", "HS256 "])
    func `an algorithm that no key serves opens nothing`(algorithm: String) {
        let header = #"{"alg":"\#(algorithm)","typ":"JWT"}"#
        #expect(refusal(TokenForge.message(header, TokenForge.claims()) + ".") == .forged)
        #expect(refusal(TokenForge.hs256(header: header)) == .forged)
    }

    @Test func `a public key is no secret`() throws {
        let primitives = try forge.rsa.publicKey.getKeyPrimitives()
        let point = forge.p256.publicKey
        let verifier = try forge.publicVerifier()
        let publicBytes = [
            Data(forge.rsa.publicKey.pemRepresentation.utf8), Data((forge.rsa.publicKey.pemRepresentation + "\n").utf8),
            forge.rsa.publicKey.derRepresentation, Data(primitives.modulus), point.rawRepresentation,
            point.x963Representation, Data(point.pemRepresentation.utf8), Data(try forge.keySet().utf8), Data(),
        ]
        for secret in publicBytes {
            for header in [
                #"{"alg":"HS256"}"#, #"{"alg":"HS256","kid":"rsa"}"#, #"{"alg":"RS256","kid":"rsa"}"#,
                #"{"alg":"ES256","kid":"ec"}"#,
            ] {
                #expect(TokenForge.refusal(TokenForge.hs256(header: header, secret: secret), by: verifier) == .forged)
            }
        }
    }

    @Test func `a key that the token brings along is not looked at`() throws {
        let own = TokenForge.other
        let primitives = try own.rsa.publicKey.getKeyPrimitives()
        let key =
            #""jwk":{"kty":"RSA","n":"\#(TokenForge.base64URL(primitives.modulus))","e":"\#(TokenForge.base64URL(primitives.publicExponent))"}"#
        for more in [key, #""jku":"https://example.com/keys.json""#, #""x5u":"https://example.com/cert.pem""#] {
            #expect(refusal(try own.rs256(header: #"{"alg":"RS256",\#(more)}"#)) == .forged)
        }
        #expect(refusal(try own.rs256()) == .forged)
        #expect(refusal(try own.es256()) == .forged)
    }

    @Test func `a key that the token doesn't name opens nothing`() throws {
        #expect(refusal(try forge.rs256(header: #"{"alg":"RS256","kid":"ec"}"#)) == .forged)
        #expect(refusal(try forge.rs256(header: #"{"alg":"RS256","kid":"other"}"#)) == .forged)
        #expect(refusal(try forge.rs256(header: #"{"alg":"RS256"}"#)) == nil)
    }

    @Test func `a signature of another kind by the right key opens nothing`() throws {
        let message = TokenForge.message(#"{"alg":"RS256","kid":"rsa"}"#, TokenForge.claims())
        let padded = try forge.rsa.signature(for: Data(message.utf8), padding: .PSS)
        #expect(refusal("\(message).\(TokenForge.base64URL(padded.rawRepresentation))") == .forged)
        let curve = TokenForge.message(#"{"alg":"ES256","kid":"ec"}"#, TokenForge.claims())
        let signature = try forge.p256.signature(for: Data(curve.utf8))
        #expect(refusal("\(curve).\(TokenForge.base64URL(signature.derRepresentation))") == .forged)
        #expect(refusal("\(curve).\(TokenForge.base64URL(Data(count: 64)))") == .forged)
    }

    @Test func `changed claims, header or signature are noticed`() throws {
        for token in [TokenForge.hs256(), try forge.rs256(), try forge.es256()] {
            let parts = token.split(separator: ".").map(String.init)
            let other = TokenForge.base64URL(TokenForge.claims(#","x":1"#))
            #expect(refusal("\(parts[0]).\(other).\(parts[2])") == .forged)
            #expect(refusal("\(parts[0]).\(parts[1]).") == .forged)
            let signature = try #require(parts[2].base64URLDecoded)
            for index in [0, 7, signature.count - 1] {
                var bent = signature
                bent[index] ^= 1
                #expect(refusal("\(parts[0]).\(parts[1]).\(TokenForge.base64URL(bent))") == .forged)
            }
            #expect(refusal("\(parts[0]).\(parts[1]).\(TokenForge.base64URL(signature.dropLast()))") == .forged)
            #expect(refusal("\(parts[0]).\(parts[1]).\(TokenForge.base64URL(signature + [0]))") == .forged)
        }
    }

    @Test func `what is no token is none`() {
        let token = TokenForge.hs256()
        let parts = token.split(separator: ".").map(String.init)
        for text in [
            "", ".", "..", "...", "a.b.c", token + ".", "." + token, "\(parts[0]).\(parts[1])", token + "=",
            token + " ",
            " " + token, "\(parts[0])=.\(parts[1]).\(parts[2])", token + "\n", token + "\u{0}", "é.é.é",
            token.replacing(".", with: "..", maxReplacements: 1), String(repeating: "a", count: 100_000),
        ] { #expect(refusal(text) == .malformed, "\(text.prefix(50))") }
        #expect(refusal(TokenForge.hs256(header: "[]")) == .malformed)
        #expect(refusal(TokenForge.hs256(header: #"{"typ":"JWT"}"#)) == .malformed)
        #expect(refusal(TokenForge.hs256(header: #"{"alg":7}"#)) == .malformed)
        #expect(refusal(TokenForge.hs256(header: #"{"alg":"HS256","crit":["b64"],"b64":false}"#)) == .malformed)
        for claims in ["", "[]", "null", "{", #"{"exp":"soon"}"#, #"{"sub":7,"exp":1800000600}"#] {
            #expect(refusal(TokenForge.hs256(claims)) == .malformed, "\(claims)")
        }
    }

    @Test func `two spellings of one signature are not both taken`() throws {
        let token = TokenForge.hs256()
        // 32 bytes leave two bits of the last character unused.
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        let last = try #require(token.last.flatMap { alphabet.firstIndex(of: $0) })
        #expect(refusal(String(token.dropLast()) + String(alphabet[last ^ 1])) == .malformed)
    }

    @Test func `a token is taken from its beginning to its end, give or take half a minute`() {
        func refusal(_ claims: String, at time: Double) -> TokenRefusal? {
            TokenForge.refusal(TokenForge.hs256(claims), by: verifier, at: time)
        }
        let end = TokenForge.now + 600
        #expect(refusal(TokenForge.claims(), at: end + 29) == nil)
        #expect(refusal(TokenForge.claims(), at: end + 31) == .expired)
        let later = TokenForge.claims(#","nbf":\#(Int(TokenForge.now) + 100)"#)
        #expect(refusal(later, at: TokenForge.now) == .notYetValid)
        #expect(refusal(later, at: TokenForge.now + 71) == nil)
    }

    @Test func `a token without an end is refused`() {
        let claims = #"{"sub":"\#(TokenForge.user)","role":"authenticated"}"#
        #expect(refusal(TokenForge.hs256(claims)) == .expired)
    }

    @Test(arguments: [
        (#""authenticated""#, nil), (#"["other","authenticated"]"#, nil), ("null", nil),
        (#""other""#, TokenRefusal.otherAudience), (#"["other"]"#, .otherAudience), ("[]", .otherAudience),
        ("7", .malformed),
    ])
    func `a token for somebody else is refused`(audience: String, expected: TokenRefusal?) {
        let claims =
            #"{"sub":"\#(TokenForge.user)","role":"authenticated","aud":\#(audience),"exp":1800000600}"#
        #expect(refusal(TokenForge.hs256(claims)) == expected)
    }

    @Test(arguments: ["anon", "service_role", "postgres", "jobworker", "", "Authenticated", "authenticated "])
    func `another role than a member's is not let in, however genuine`(role: String) {
        let claims = #"{"sub":"\#(TokenForge.user)","role":"\#(role)","exp":1800000600}"#
        #expect(refusal(TokenForge.hs256(claims)) == .otherRole)
    }

    @Test(arguments: ["", "7", "a0000000", "' OR true --", "a0000000-0000-4000-8000-00000000000g"])
    func `a subject that is no user is refused`(subject: String) {
        let claims = #"{"sub":"\#(subject)","role":"authenticated","exp":1800000600}"#
        #expect(refusal(TokenForge.hs256(claims)) == .noUser)
        #expect(refusal(TokenForge.hs256(#"{"role":"authenticated","exp":1800000600}"#)) == .noUser)
    }

    @Test func `without keys nobody is let in`() throws {
        for token in [TokenForge.hs256(), try forge.rs256()] {
            #expect(TokenForge.refusal(token, by: TokenVerifier(keys: [])) == .forged)
        }
    }
}
