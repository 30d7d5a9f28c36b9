import FoundationEssentials
import Glibc

/// The keys of `WORKER_ENCRYPTION_KEYS`: the first encrypts, all decrypt.
public struct EncryptionKeys: Sendable, Equatable {
    /// A key and the name under which stored values refer to it.
    public struct Key: Sendable, Equatable {
        /// 1 to 32 letters, digits, `.`, `_` or `-`; no secret.
        public let id: String
        /// 32 raw bytes.
        public let bytes: Secret
    }

    /// At least one.
    public let keys: [Key]
    /// As it was given, `id:base64` with commas between them.
    public let text: Secret
}

extension Form<EncryptionKeys> {
    static var encryptionKeys: Form {
        let allowed = """
            id:base64 with commas between them, each id once and of 1 to 32 letters, digits, '.', '_' or '-', \
            the base64 of 32 bytes
            """
        return Form(allowed, isList: true, show: { _ in Secret.mask }) { text throws(BadValue) in
            var keys: [EncryptionKeys.Key] = []
            for (index, entry) in try listEntries(text).enumerated() {
                let key = try EncryptionKeys.Key(parsing: entry, position: index + 1)
                if let twin = keys.firstIndex(where: { $0.id == key.id }) {
                    throw BadValue("entries \(twin + 1) and \(index + 1) have the same id")
                }
                keys.append(key)
            }
            return EncryptionKeys(keys: keys, text: Secret(text.trimmingBlanks))
        }
    }
}

extension EncryptionKeys.Key {
    /// Speaks of entries by position: what stands for an id may well be half a key.
    fileprivate init(parsing entry: String, position: Int) throws(BadValue) {
        let parts = entry.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(\.trimmingBlanks)
        guard parts.count == 2 else { throw BadValue("entry \(position) is not id:base64") }
        guard (1...32).contains(parts[0].utf8.count), parts[0].utf8.allSatisfy(isWordByte) else {
            throw BadValue("the id of entry \(position) has other characters, or not 1 to 32 of them")
        }
        guard var bytes = Data(base64Encoded: parts[1]) else {
            throw BadValue("what follows the id of entry \(position) is no base64")
        }
        defer {
            bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { explicit_bzero(start, $0.count) } }
        }
        guard bytes.count == 32 else {
            throw BadValue("the key of entry \(position) has \(bytes.count) bytes instead of 32")
        }
        id = parts[0]
        self.bytes = bytes.withUnsafeBytes { Secret(bytes: $0) }
    }
}
