import Glibc

/// Text that must not be seen: a token, a key, a connection string with its password.
///
/// Prints as `•••` wherever it ends up, can't be encoded, and its memory is wiped when the last copy goes. What
/// `withText` and `withBytes` lend is not: use it for the moment of the call alone.
public struct Secret: Sendable {
    /// What stands for any secret.
    public static let mask = "•••"

    private let storage: SecretStorage

    /// Copies `text`, which itself can't be wiped.
    public init(_ text: String) {
        var text = text
        storage = text.withUTF8 { SecretStorage(copying: UnsafeRawBufferPointer($0)) }
    }

    /// Copies `bytes`.
    public init(bytes: UnsafeRawBufferPointer) {
        storage = SecretStorage(copying: bytes)
    }

    /// The number of its bytes, in UTF-8 where it is text.
    public var byteCount: Int { storage.bytes.count }

    /// Lends the text; bytes that are no UTF-8 come as U+FFFD.
    public func withText<Result>(_ body: (String) throws -> Result) rethrows -> Result {
        try body(String(decoding: storage.bytes, as: UTF8.self))
    }

    /// Lends the bytes, valid for the call alone.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(storage.bytes))
    }
}

extension Secret: Equatable {
    /// Takes the same time wherever two secrets of one length differ.
    public static func == (left: Secret, right: Secret) -> Bool {
        guard left.byteCount == right.byteCount else { return false }
        return zip(left.storage.bytes, right.storage.bytes).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { Secret.mask }
    public var debugDescription: String { Secret.mask }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Owns the bytes of a secret. `@unchecked`: they are written before `init` returns and in `deinit`, never between.
private final class SecretStorage: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    init(copying source: UnsafeRawBufferPointer) {
        bytes = .allocate(byteCount: source.count, alignment: 1)
        bytes.copyMemory(from: source)
    }

    deinit {
        if let start = bytes.baseAddress { explicit_bzero(start, bytes.count) }
        bytes.deallocate()
    }
}
