/// A JSON object written front to back into a line of limited length.
struct JSONLine {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]
    /// Where content ends, at the latest; what follows is room to close the object.
    private let contentEnd: Int
    private var isFirst = true
    private var isCut = false

    private static let ending = Array(",\"cut\":true}\n".utf8)
    private static let mark = Array("…".utf8)

    init(bytesMax: Int) {
        contentEnd = bytesMax - Self.ending.count - 1
        bytes.reserveCapacity(512)
    }

    /// Adds `"name":"value"`, shortened to `valueBytesMax` as written and to what the line still holds.
    mutating func add(_ name: String, _ value: String, valueBytesMax: Int = .max) {
        let start = bytes.count
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        appendQuoted(name, end: .max)
        bytes.append(UInt8(ascii: ":"))
        let room = contentEnd - bytes.count
        guard room >= 2 + Self.mark.count else {
            // Not even a shortened text fits.
            bytes.removeSubrange(start...)
            isCut = true
            return
        }
        appendQuoted(value, end: bytes.count + min(room, valueBytesMax))
        isFirst = false
    }

    /// Adds an object of texts, if there are any, leaving out what doesn't fit.
    mutating func add(_ name: String, _ members: [(key: String, value: String)]) {
        guard let first = members.first else { return }
        let start = bytes.count
        bytes.append(contentsOf: isFirst ? "".utf8 : ",".utf8)
        appendQuoted(name, end: .max)
        bytes.append(contentsOf: ":{".utf8)
        isFirst = true
        add(first.key, first.value)
        for member in members.dropFirst() { add(member.key, member.value) }
        guard !isFirst else {
            bytes.removeSubrange(start...)
            isFirst = false
            return
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// The line, closed and with its line end.
    consuming func finished() -> [UInt8] {
        bytes.append(contentsOf: isCut ? Self.ending : Array("}\n".utf8))
        return bytes
    }

    /// - Parameter end: Where the closing quote has to be at the latest; .max for no limit.
    private mutating func appendQuoted(_ text: String, end: Int) {
        bytes.append(UInt8(ascii: "\""))
        if let plain = text.utf8.withContiguousStorageIfAvailable({ appendPlain($0, end: end) }), plain {
            bytes.append(UInt8(ascii: "\""))
            return
        }
        // The last place at which the mark and the quote still fit.
        let markStart = end == .max ? .max : end - Self.mark.count - 1
        var cutAt = bytes.count
        for scalar in text.unicodeScalars {
            if bytes.count <= markStart { cutAt = bytes.count }
            append(scalar)
            if end != .max, bytes.count >= end {
                bytes.removeSubrange(cutAt...)
                bytes.append(contentsOf: Self.mark)
                isCut = true
                break
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Adds a text that fits and needs no escaping, as nearly all do.
    /// - Returns: `false` where it is another one; then nothing is added.
    private mutating func appendPlain(_ text: UnsafeBufferPointer<UInt8>, end: Int) -> Bool {
        guard end == .max || bytes.count + text.count < end else { return false }
        for byte in text where byte < 0x20 || byte > 0x7E || byte == 0x22 || byte == 0x5C { return false }
        bytes.append(contentsOf: text)
        return true
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"": bytes.append(contentsOf: "\\\"".utf8)
        case "\\": bytes.append(contentsOf: "\\\\".utf8)
        case "\n": bytes.append(contentsOf: "\\n".utf8)
        case "\r": bytes.append(contentsOf: "\\r".utf8)
        case "\t": bytes.append(contentsOf: "\\t".utf8)
        case _
        where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || scalar.value == 0x2028
            || scalar.value == 0x2029:
            // The last three are legal in JSON, but end the line for some readers.
            let digits = String(scalar.value, radix: 16)
            bytes.append(contentsOf: "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
        default: bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }
}
