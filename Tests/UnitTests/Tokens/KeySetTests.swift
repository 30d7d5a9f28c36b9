import Crypto
import CryptoExtras
import FoundationEssentials
import Testing

@testable import Tokens

@Suite struct KeySetTests {
    private let forge = TokenForge.shared

    @Test func `keys for signatures are read, others passed over`() throws {
        let others = #"""
            ,{"kty":"oct","k":"c2VjcmV0","alg":"HS256"},{"kty":"OKP","crv":"Ed25519","x":"AA"},
             {"kty":"RSA","use":"enc","n":"AA","e":"AA"},{"kty":"EC","crv":"P-384","x":"AA","y":"AA"},
             {"kty":"RSA","alg":"PS256","n":"AA","e":"AA"},{"kty":"EC","crv":"P-256","key_ops":["sign"],"x":"AA","y":"AA"}
            """#
        let keys = try KeySet(parsing: forge.keySet(with: others)).keys
        #expect(keys.map(\.algorithm) == ["RS256", "ES256"])
        #expect(keys.map(\.id) == ["rsa", "ec"])
    }

    @Test(arguments: [
        ("", KeySetError.unreadable), ("[]", .unreadable), ("{}", .unreadable), (#"{"keys":{}}"#, .unreadable),
        (#"{"keys":[{}]}"#, .unreadable), (#"{"keys":[]}"#, .empty), (#"{"keys":[{"kty":"oct","k":"AA"}]}"#, .empty),
        (#"{"keys":[{"kty":"RSA","n":"AA","e":"AQAB"}]}"#, .badKey(position: 1)),
        (#"{"keys":[{"kty":"oct"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#, .badKey(position: 2)),
        (#"{"keys":[{"kty":"RSA"}]}"#, .badKey(position: 1)),
    ])
    func `a document that can't be used says why`(text: String, expected: KeySetError) {
        #expect(throws: expected) { try KeySet(parsing: text) }
    }

    @Test func `an RSA key of 1024 bits is too short`() throws {
        let key = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024)).publicKey.getKeyPrimitives()
        let text =
            #"{"keys":[{"kty":"RSA","n":"\#(TokenForge.base64URL(key.modulus))","e":"\#(TokenForge.base64URL(key.publicExponent))"}]}"#
        #expect(throws: KeySetError.badKey(position: 1)) { try KeySet(parsing: text) }
    }

    @Test func `a point off the curve is no key`() throws {
        let text =
            #"{"keys":[{"kty":"EC","crv":"P-256","x":"\#(TokenForge.base64URL(Data(repeating: 1, count: 32)))","y":"\#(TokenForge.base64URL(Data(repeating: 1, count: 32)))"}]}"#
        #expect(throws: KeySetError.badKey(position: 1)) { try KeySet(parsing: text) }
    }
}
