import FoundationEssentials
import Testing

@testable import Enrichment

@Suite struct KeyVaultTests {
    private let workspace = UUID()
    private static let first = "k1:" + Data(repeating: 1, count: 32).base64EncodedString()
    private static let second = "k2:" + Data(repeating: 2, count: 32).base64EncodedString()

    private func key(_ text: String = "canary-api-key-1234") throws -> APIKey { try #require(APIKey(text)) }

    private func error(_ body: () throws(KeyVaultError) -> Void) -> KeyVaultError? {
        do throws(KeyVaultError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    @Test func `a sealed key opens again, and never looks the same twice`() throws {
        let vault = try KeyVault(parsing: "\(Self.first),\(Self.second)")
        let sealed = try vault.seal(key(), workspace: workspace)
        #expect(sealed.hasPrefix("v1:k1:"))
        #expect(try sealed != vault.seal(key(), workspace: workspace))
        let opened = try vault.open(sealed, workspace: workspace)
        #expect(opened.key.reveal() == "canary-api-key-1234")
        #expect(opened.protection == .encrypted(keyID: "k1"))
    }

    @Test func `every key of the list decrypts, the first one encrypts`() throws {
        let old = try KeyVault(parsing: Self.second)
        let sealed = try old.seal(key(), workspace: workspace)
        let new = try KeyVault(parsing: " \(Self.first) , \(Self.second) ")
        #expect(new.keyIDs == ["k1", "k2"])
        #expect(try new.open(sealed, workspace: workspace).protection == .encrypted(keyID: "k2"))
        #expect(
            error { () throws(KeyVaultError) in
                _ = try KeyVault(parsing: Self.first).open(sealed, workspace: workspace)
            } == .unknownKey(id: "k2"))
    }

    @Test func `a value copied to another workspace does not open`() throws {
        let vault = try KeyVault(parsing: Self.first)
        let sealed = try vault.seal(key(), workspace: workspace)
        #expect(error { () throws(KeyVaultError) in _ = try vault.open(sealed, workspace: UUID()) } == .unreadable)
    }

    @Test func `any flipped bit and any missing byte are noticed`() throws {
        let vault = try KeyVault(parsing: Self.first)
        let sealed = try vault.seal(key(), workspace: workspace)
        let body = try #require(Data(base64Encoded: String(sealed.dropFirst("v1:k1:".count))))
        for index in 0..<body.count {
            var damaged = body
            damaged[index] ^= 1
            #expect(
                error { () throws(KeyVaultError) in
                    _ = try vault.open("v1:k1:" + damaged.base64EncodedString(), workspace: workspace)
                } == .unreadable)
            #expect(
                error { () throws(KeyVaultError) in
                    _ = try vault.open("v1:k1:" + body.prefix(index).base64EncodedString(), workspace: workspace)
                } == .unreadable)
        }
    }

    @Test func `a value under another key's id does not open`() throws {
        let same = Data(repeating: 1, count: 32).base64EncodedString()
        let vault = try KeyVault(parsing: "a:\(same),b:\(same)")
        let sealed = try vault.seal(key(), workspace: workspace)
        let renamed = "v1:b:" + sealed.dropFirst("v1:a:".count)
        #expect(error { () throws(KeyVaultError) in _ = try vault.open(renamed, workspace: workspace) } == .unreadable)
    }

    @Test func `the application's base64 is read, and known to be unprotected`() throws {
        let stored = Data("canary-api-key-1234".utf8).base64EncodedString()
        let opened = try KeyVault().open(stored, workspace: workspace)
        #expect(opened.key.reveal() == "canary-api-key-1234")
        #expect(opened.protection == .none)
    }

    @Test(arguments: [
        "canary plain text", "v1:", "v1:k1", "v1:k1:", "v1:k1:!!", "v1::AAAA", "/w==", "AA==", "", "v1:k1:AAAA:x",
    ])
    func `what is no stored key is refused without being quoted`(stored: String) throws {
        let vault = try KeyVault(parsing: Self.first)
        let error = try #require(error { () throws(KeyVaultError) in _ = try vault.open(stored, workspace: workspace) })
        #expect(!error.description.contains("canary"))
    }

    @Test func `without keys nothing is encrypted`() throws {
        let key = try key()
        #expect(error { () throws(KeyVaultError) in _ = try KeyVault().seal(key, workspace: workspace) } == .noKeys)
    }

    @Test(arguments: [
        "k1", "k1:", "k1:AAAA", "k 1:\(Data(repeating: 1, count: 32).base64EncodedString())", ":AAAA",
        "\(KeyVaultTests.first),\(KeyVaultTests.first)", "k1:\(Data(repeating: 1, count: 33).base64EncodedString())",
    ])
    func `a bad list of keys is refused without quoting a key`(text: String) throws {
        let error = try #require(error { () throws(KeyVaultError) in _ = try KeyVault(parsing: text) })
        #expect(error.description.hasPrefix("WORKER_ENCRYPTION_KEYS, entry "))
        #expect(!error.description.contains("AQEBAQEB"))
    }

    @Test func `a generated key can be used`() throws {
        let vault = try KeyVault(parsing: KeyVault.generateKey(id: "2026-03"))
        #expect(vault.currentKeyID == "2026-03")
        #expect(KeyVault.generateKey(id: "a") != KeyVault.generateKey(id: "a"))
    }

    @Test func `keys and vaults print no secret`() throws {
        let vault = try KeyVault(parsing: Self.first)
        var dumped = ""
        dump([try key()], to: &dumped)
        dump(vault, to: &dumped)
        let printed = "\(try key()) \(String(reflecting: try key())) \(vault) \(dumped)"
        #expect(!printed.contains("canary"))
        #expect(!printed.contains("AQEB"))
        #expect(try key().lastFour == "1234")
        #expect(try key("short").lastFour == nil)
    }

    @Test(arguments: ["", " ", "a b", "a\r\nX: y", "käse", "a\u{0}b"])
    func `what can't stand in a header is no API key`(text: String) {
        #expect(APIKey(text) == nil)
    }
}
