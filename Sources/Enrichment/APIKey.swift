import Crypto
import FoundationEssentials

/// A workspace's key for Apollo.
///
/// Prints as `•••` wherever it ends up. Its bytes lie in a `SymmetricKey`, which wipes its memory when the last
/// copy goes. What `reveal()` returns can't be wiped: take it only for the moment of a request.
public struct APIKey: Sendable {
    private let bytes: SymmetricKey

    /// - Returns: `nil` unless it is 1 to 512 printable ASCII characters without spaces, white space around it
    ///   apart: nothing else can be sent in a header.
    public init?(_ text: String) {
        guard let text = text.cleaned, (1...512).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { return nil }
        bytes = SymmetricKey(data: Array(text.utf8))
    }

    /// The last four characters, to recognise it by; `nil` where that would be more than a third of it.
    public var lastFour: String? {
        let text = reveal()
        return text.utf8.count >= 12 ? String(text.suffix(4)) : nil
    }

    /// The key itself.
    public func reveal() -> String {
        bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// `text` with `•••` wherever it quotes the key, as an answer of the other side might.
    func redacted(in text: String) -> String {
        text.replacing(reveal(), with: "•••")
    }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes(body)
    }
}

extension APIKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "•••" }
    public var debugDescription: String { "•••" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
