import CLibSystemd
import Glibc

/// One `NAME=value` of a journal entry.
public struct JournalField: Sendable, Hashable {
    /// The longest value; the rest is cut off and replaced by `…`.
    public static let valueBytesMax = 16 * 1024

    /// `A`–`Z`, `0`–`9` and `_`, at most 64, not beginning with `_` or a digit.
    public let name: String
    /// Any text; line ends don't end the field.
    public let value: String

    /// A field of somebody else's naming. The name is put in order, and moved out of the way of the
    /// fields the handler sets itself: `message` becomes `META_MESSAGE`.
    public init(_ name: String, _ value: String) {
        let name = Self.sanitized(name)
        self.init(own: Self.ownNames.contains(name) ? "META_\(name)" : name, value)
    }

    init(own name: String, _ value: String) {
        self.name = name
        self.value = Self.shortened(value)
    }

    private static let ownNames: Set<String> = [
        "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "LOGGER", "CODE_FILE", "CODE_LINE", "CODE_FUNC",
    ]

    /// journald silently drops fields whose names break its rules.
    static func sanitized(_ name: String) -> String {
        var bytes = name.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
            case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 0x20
            default: UInt8(ascii: "_")
            }
        }
        // A leading underscore marks what journald itself has found out.
        bytes = Array(bytes.drop { $0 == UInt8(ascii: "_") })
        if bytes.isEmpty { return "UNNAMED" }
        if bytes[0] <= UInt8(ascii: "9") { bytes.insert(UInt8(ascii: "N"), at: 0) }
        return String(decoding: bytes.prefix(64), as: UTF8.self)
    }

    private static func shortened(_ value: String) -> String {
        guard value.utf8.count > valueBytesMax else { return value }
        let mark = "…"
        var end = value.utf8.index(value.startIndex, offsetBy: valueBytesMax - mark.utf8.count)
        // Back to a character's first byte, so that the value stays UTF-8.
        while end > value.startIndex, value.utf8[end] & 0xC0 == 0x80 { end = value.utf8.index(before: end) }
        return value[..<end] + mark
    }
}

/// Writes one entry to the journal.
@Sendable
public func sendToJournal(_ fields: [JournalField]) {
    // One buffer for all fields, as the vector points into it.
    var bytes: [UInt8] = []
    var lengths: [Int] = []
    for field in fields {
        let start = bytes.count
        bytes.append(contentsOf: field.name.utf8)
        bytes.append(UInt8(ascii: "="))
        bytes.append(contentsOf: field.value.utf8)
        lengths.append(bytes.count - start)
    }
    bytes.withUnsafeMutableBytes { buffer in
        var offset = 0
        var vector: [iovec] = []
        for length in lengths {
            vector.append(iovec(iov_base: buffer.baseAddress?.advanced(by: offset), iov_len: length))
            offset += length
        }
        // Nobody is left to tell about a failure.
        _ = sd_journal_sendv(vector, Int32(vector.count))
    }
}
