import FoundationEssentials
import JobWorker

/// Checks JSON text and takes an object apart, each member's text as it was written: a number keeps every digit.
enum JSONMembers {
    /// Why the database won't take it as JSON; `nil` where it will.
    static func problem(_ text: String) -> String? {
        // The decoder forgives both; PostgreSQL doesn't.
        guard !text.hasPrefix("\u{FEFF}"), !hasTrailingComma(text),
            let value = try? JSONText(text).decode(JSONValue.self)
        else { return "is not valid JSON" }
        return holdsNUL(value) ? "holds the character \\u0000, which PostgreSQL can't store" : nil
    }

    private static func hasTrailingComma(_ text: String) -> Bool {
        var isInString = false
        var isEscaped = false
        var last: UInt8 = 0
        for byte in text.utf8 where isInString || !isBlank(byte) {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
            } else {
                let isClosing = byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
                if isClosing, last == UInt8(ascii: ",") { return true }
                isInString = byte == UInt8(ascii: "\"")
            }
            last = byte
        }
        return false
    }

    private static func holdsNUL(_ value: JSONValue) -> Bool {
        switch value {
        case .string(let text): text.utf8.contains(0)
        case .array(let elements): elements.contains(where: holdsNUL)
        case .object(let members): members.contains { $0.key.utf8.contains(0) || holdsNUL($0.value) }
        case .null, .bool, .integer, .double: false
        }
    }

    /// The members of an object in valid JSON; `nil` for any other value. Of two with one name the last counts.
    static func split(_ text: String) -> [String: String]? {
        let bytes = Array(text.utf8)
        var members: [String: String] = [:]
        var depth = 0
        var isInString = false
        var isEscaped = false
        var start = 0
        var name: String?
        guard bytes.first(where: { !isBlank($0) }) == UInt8(ascii: "{") else { return nil }

        func member(endingAt end: Int) -> String {
            var range = bytes[start..<end]
            while let first = range.first, isBlank(first) { range.removeFirst() }
            while let last = range.last, isBlank(last) { range.removeLast() }
            return String(decoding: range, as: UTF8.self)
        }
        func endMember(_ end: Int) {
            if let name { members[name] = member(endingAt: end) }
            name = nil
            start = end + 1
        }

        for (index, byte) in bytes.enumerated() {
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                if depth == 1 { start = index + 1 }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 1 { endMember(index) }
                depth -= 1
            case UInt8(ascii: ":") where depth == 1 && name == nil:
                name = try? JSONText(member(endingAt: index)).decode(String.self)
                start = index + 1
            case UInt8(ascii: ",") where depth == 1: endMember(index)
            default: break
            }
        }
        return members
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
}
