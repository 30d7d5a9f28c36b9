import Crypto
public import Enrichment
public import FoundationEssentials

/// What an endpoint's messages are signed with: `whsec_` and base64, as the Standard Webhooks specification writes it.
///
/// Prints as `•••`.
public struct WebhookSecret: Sendable, CustomStringConvertible, CustomReflectable {
    private static let prefix = "whsec_"
    private let text: APIKey
    private let key: SymmetricKey

    /// A new one, of 32 random bytes.
    public static func generate() -> WebhookSecret {
        let base64 = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0).base64EncodedString() }
        guard let secret = WebhookSecret(prefix + base64) else { preconditionFailure("32 bytes make a secret") }
        return secret
    }

    /// - Returns: `nil` unless it is `whsec_` and the base64 of 24 to 64 bytes.
    public init?(_ text: String) {
        guard text.hasPrefix(WebhookSecret.prefix),
            var bytes = Data(base64Encoded: String(text.dropFirst(WebhookSecret.prefix.count))),
            (24...64).contains(bytes.count), let kept = APIKey(text)
        else { return nil }
        defer { bytes.resetBytes(in: 0..<bytes.count) }
        key = SymmetricKey(data: bytes)
        self.text = kept
    }

    /// The secret itself: for whoever has just made it, once.
    public func reveal() -> String { text.reveal() }

    public var description: String { "•••" }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// The value of the header `webhook-signature` of a message.
    /// - Parameter timestamp: Seconds since 1970, as in the header `webhook-timestamp`.
    package func signature(id: String, timestamp: Int, body: [UInt8]) -> String {
        var code = HMAC<SHA256>(key: key)
        code.update(data: Data("\(id).\(timestamp).".utf8))
        code.update(data: body)
        return "v1," + Data(code.finalize()).base64EncodedString()
    }

    /// The headers that sign a message.
    /// - Parameter timestamp: Seconds since 1970.
    package func headers(id: String, timestamp: Int, body: [UInt8]) -> [(name: String, value: String)] {
        [
            ("webhook-id", id), ("webhook-timestamp", String(timestamp)),
            ("webhook-signature", signature(id: id, timestamp: timestamp, body: body)),
        ]
    }

    /// Encrypted for the row of an endpoint of `workspace`; `nil` for one of operators.
    /// - Throws: `KeyVaultError.noKeys`.
    public func sealed(by vault: KeyVault, workspace: UUID?) throws(KeyVaultError) -> String {
        try vault.seal(text, for: .webhookSecret, of: workspace ?? KeyVault.noWorkspace)
    }

    /// What a row of an endpoint of `workspace` holds; `nil` for one of operators.
    /// - Throws: `KeyVaultError`.
    public init(stored: String, vault: KeyVault, workspace: UUID?) throws(KeyVaultError) {
        let opened = try vault.openSealed(stored, for: .webhookSecret, of: workspace ?? KeyVault.noWorkspace).key
        guard let secret = WebhookSecret(opened.reveal()) else { throw .unreadable }
        self = secret
    }
}
