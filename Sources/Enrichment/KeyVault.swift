package import Crypto
public import FoundationEssentials

/// Encrypts the workspaces' Apollo keys and the secrets of their webhooks, and decrypts them.
///
/// A stored key is `v1:<key id>:<base64 of nonce, ciphertext and tag>`, AES-256-GCM. Authenticated with it are the
/// column, the key id and the workspace, so that a value copied to another workspace's row does not open.
/// The application's older values, plain base64 of the key, are still read.
public struct KeyVault: Sendable {
    /// How a stored key was protected.
    public enum Protection: Sendable, Hashable {
        case encrypted(keyID: String)
        /// Readable by whoever reads the row: to be rotated.
        case none
    }

    /// The column that a value is stored in: one that is moved to another doesn't open.
    package enum Column: String, Sendable {
        case apolloKey = "apollo_api_key"
        case webhookSecret = "webhook_secret"
    }

    private let keys: [(id: String, key: SymmetricKey)]

    /// A vault that reads the older values only.
    public init() {
        keys = []
    }

    /// - Parameter text: `id:base64(32 bytes)`, comma separated, as in `WORKER_ENCRYPTION_KEYS`; the first encrypts,
    ///   all decrypt. An id is 1 to 32 letters, digits, `.`, `_` or `-`.
    /// - Throws: `KeyVaultError.badKey` for the first entry at fault.
    public init(parsing text: String) throws(KeyVaultError) {
        var keys: [(id: String, key: SymmetricKey)] = []
        for (position, entry) in text.split(separator: ",").enumerated() {
            let parts = entry.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let id = parts.first?.trimmingSpaces ?? ""
            guard parts.count == 2, (1...32).contains(id.utf8.count), id.utf8.allSatisfy(KeyVault.isAllowedInID) else {
                throw .badKey(
                    position: position + 1, reason: "expected id:base64, the id of letters, digits, '.', '_', '-'")
            }
            guard var bytes = Data(base64Encoded: parts[1].trimmingSpaces) else {
                throw .badKey(position: position + 1, reason: "what follows 'id:' is not base64")
            }
            defer { bytes.resetBytes(in: 0..<bytes.count) }
            guard bytes.count == 32 else {
                throw .badKey(position: position + 1, reason: "\(bytes.count) bytes instead of 32")
            }
            guard !keys.contains(where: { $0.id == id }) else {
                throw .badKey(position: position + 1, reason: "the id '\(id)' is there already")
            }
            keys.append((id, SymmetricKey(data: bytes)))
        }
        self.keys = keys
    }

    /// A new key for `WORKER_ENCRYPTION_KEYS`: `id:base64(32 random bytes)`.
    public static func generateKey(id: String) -> String {
        let base64 = SymmetricKey(size: .bits256).withUnsafeBytes { Data($0).base64EncodedString() }
        return "\(id):\(base64)"
    }

    /// The id of the key that encrypts; `nil` when there is none.
    public var currentKeyID: String? { keys.first?.id }

    /// The ids of all keys, the one that encrypts first.
    public var keyIDs: [String] { keys.map(\.id) }

    /// Stands for none, in what is the operators'.
    package static let noWorkspace = UUID(uuid: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))

    /// Encrypts `key` for the settings row of `workspace`.
    /// - Throws: `KeyVaultError.noKeys`.
    public func seal(_ key: APIKey, workspace: UUID) throws(KeyVaultError) -> String {
        try seal(key, for: .apolloKey, of: workspace)
    }

    /// The same for any column.
    package func seal(_ key: APIKey, for column: Column, of workspace: UUID) throws(KeyVaultError) -> String {
        guard let current = keys.first else { throw .noKeys }
        do {
            let box = try key.withBytes { bytes in
                try AES.GCM.seal(
                    bytes, using: current.key, authenticating: KeyVault.authenticated(column, current.id, workspace))
            }
            // A nonce of the usual length always gives the combined form.
            guard let combined = box.combined else { throw KeyVaultError.unreadable }
            return "v1:\(current.id):\(combined.base64EncodedString())"
        } catch {
            throw .unreadable
        }
    }

    /// Decrypts what the settings row of `workspace` holds.
    /// - Throws: `KeyVaultError`, without a word of what was stored.
    public func open(_ stored: String, workspace: UUID) throws(KeyVaultError) -> (key: APIKey, protection: Protection) {
        guard stored.hasPrefix("v1:") else {
            guard var bytes = Data(base64Encoded: stored.trimmingSpaces) else { throw .unreadable }
            defer { bytes.resetBytes(in: 0..<bytes.count) }
            guard let key = KeyVault.apiKey(bytes) else { throw .unreadable }
            return (key, .none)
        }
        return try openSealed(stored, for: .apolloKey, of: workspace)
    }

    /// Decrypts what a column of a row of `workspace` holds.
    /// - Throws: `KeyVaultError`, without a word of what was stored.
    package func openSealed(
        _ stored: String, for column: Column, of workspace: UUID
    ) throws(KeyVaultError) -> (key: APIKey, protection: Protection) {
        let parts = stored.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "v1", let combined = Data(base64Encoded: String(parts[2])) else {
            throw .unreadable
        }
        let id = String(parts[1])
        guard let sealing = keys.first(where: { $0.id == id }) else {
            throw .unknownKey(id: id.utf8.count <= 32 && id.utf8.allSatisfy(KeyVault.isAllowedInID) ? id : "?")
        }
        do {
            var bytes = try AES.GCM.open(
                AES.GCM.SealedBox(combined: combined), using: sealing.key,
                authenticating: KeyVault.authenticated(column, id, workspace))
            defer { bytes.resetBytes(in: 0..<bytes.count) }
            guard let key = KeyVault.apiKey(bytes) else { throw KeyVaultError.unreadable }
            return (key, .encrypted(keyID: id))
        } catch {
            throw .unreadable
        }
    }

    /// Tells one key of a workspace from another, to whoever has the vault's keys alone.
    /// - Returns: Not empty; always the same while the current key is.
    public func fingerprint(of key: APIKey, workspace: UUID) -> String {
        guard let current = keys.first else { return "none" }
        var code = HMAC<SHA256>(key: current.key)
        code.update(data: KeyVault.authenticated(.apolloKey, "fingerprint", workspace))
        key.withBytes { code.update(data: $0) }
        return code.finalize().map { String($0, radix: 16) }.joined(separator: ":")
    }

    /// Keys for another purpose, made of these in the same order: what encrypts must not sign as well.
    package func derivedKeys(for purpose: StaticString) -> [SymmetricKey] {
        keys.map {
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: $0.key, info: Data("jobworker \(purpose)".utf8), outputByteCount: 32)
        }
    }

    private static func authenticated(_ column: Column, _ keyID: String, _ workspace: UUID) -> Data {
        Data("\(column.rawValue)\(keyID)\(workspace.uuidString.lowercased())".utf8)
    }

    private static func apiKey(_ bytes: Data) -> APIKey? {
        String(validating: bytes, as: UTF8.self).flatMap { APIKey($0) }
    }

    private static func isAllowedInID(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}

extension KeyVault: CustomStringConvertible, CustomReflectable {
    /// The ids alone.
    public var description: String { "KeyVault(\(keyIDs.joined(separator: ", ")))" }
    public var customMirror: Mirror { Mirror(self, children: ["keyIDs": keyIDs]) }
}

/// Why a key could not be encrypted or decrypted. Holds no part of any key.
public enum KeyVaultError: Error, Sendable, Hashable {
    /// An entry of `WORKER_ENCRYPTION_KEYS` can't be used; the first one has position 1.
    case badKey(position: Int, reason: String)
    /// `WORKER_ENCRYPTION_KEYS` is not set.
    case noKeys
    /// The stored value was encrypted with a key that is not among ours.
    case unknownKey(id: String)
    /// Damaged, of another workspace, or no stored key at all.
    case unreadable
}

extension KeyVaultError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .badKey(let position, let reason): "WORKER_ENCRYPTION_KEYS, entry \(position): \(reason)"
        case .noKeys:
            "WORKER_ENCRYPTION_KEYS is not set: no secret can be encrypted. 'jobworker keys generate' makes one."
        case .unknownKey(let id):
            "the stored API key was encrypted with the key '\(id)', which is not in WORKER_ENCRYPTION_KEYS"
        case .unreadable: "the stored API key can't be decrypted"
        }
    }
}

extension StringProtocol {
    fileprivate var trimmingSpaces: String { String(self).cleaned ?? "" }
}
