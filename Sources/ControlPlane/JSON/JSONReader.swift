/// Why a text is not taken as JSON.
enum JSONFault: Error, Hashable {
    /// It is none. The byte at which that showed, from 0.
    case unreadable(offset: Int)
    /// It is JSON that PostgreSQL doesn't store, or that would cost too much: a sentence.
    case unstorable(String)
}

/// Reads JSON strictly (RFC 8259), and refuses what the database would: the character U+0000, halves of surrogate
/// pairs, numbers that grow out of bounds, and depths that exhaust a stack.
struct JSONReader {
    static let depthMax = 64
    /// Digits and exponent such that the number is stored in at most so many digits; jsonb writes `1e400` out.
    static let digitsMax = 400

    private let bytes: [UInt8]
    private var position = 0

    static func read(_ bytes: [UInt8]) throws(JSONFault) -> JSONNode {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw .unreadable(offset: 0) }
        var reader = JSONReader(bytes: bytes)
        let node = try reader.value(depth: 0)
        reader.skipBlanks()
        guard reader.position == bytes.count else { throw .unreadable(offset: reader.position) }
        return node
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var fault: JSONFault { .unreadable(offset: position) }
    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONFault) -> JSONNode {
        guard depth <= Self.depthMax else {
            throw .unstorable("is nested more than \(Self.depthMax) levels deep")
        }
        skipBlanks()
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ word: String, _ node: JSONNode) throws(JSONFault) -> JSONNode {
        for byte in word.utf8 { guard take(byte) else { throw fault } }
        return node
    }

    private mutating func object(depth: Int) throws(JSONFault) -> JSONNode {
        position += 1
        var members: [JSONNode.Member] = []
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object([]) }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw fault }
            let name = try string()
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw fault }
            members.append(JSONNode.Member(name, try value(depth: depth + 1)))
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw fault }
        }
    }

    private mutating func array(depth: Int) throws(JSONFault) -> JSONNode {
        position += 1
        var elements: [JSONNode] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array([]) }
        while true {
            elements.append(try value(depth: depth + 1))
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw fault }
        }
    }

    private mutating func number() throws(JSONFault) -> JSONNode {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) {
            guard digits() > 0 else { throw fault }
        }
        if take(UInt8(ascii: ".")) {
            guard digits() > 0 else { throw fault }
        }
        let mantissaCount = position - start
        var exponent = 0
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "-")) { _ = take(UInt8(ascii: "+")) }
            let begin = position
            guard digits() > 0 else { throw fault }
            exponent = Int(String(decoding: bytes[begin..<position], as: UTF8.self)) ?? .max
        }
        guard mantissaCount <= Self.digitsMax, exponent <= Self.digitsMax - mantissaCount else {
            throw .unstorable("holds a number of more than \(Self.digitsMax) digits")
        }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
        return position - start
    }

    private mutating func string() throws(JSONFault) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &text)
            case 0..<0x20:
                position -= 1
                throw fault
            default: text.append(byte)
            }
        }
        throw fault
    }

    private mutating func escape(into text: inout [UInt8]) throws(JSONFault) {
        guard let byte = next else { throw fault }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): try unicodeEscape(into: &text)
        default:
            position -= 1
            throw fault
        }
    }

    private mutating func unicodeEscape(into text: inout [UInt8]) throws(JSONFault) {
        let unit = try hexadecimal()
        var code = UInt32(unit)
        if (0xD800...0xDBFF).contains(unit), take(UInt8(ascii: "\\")) {
            guard take(UInt8(ascii: "u")) else { throw Self.half }
            let low = try hexadecimal()
            guard (0xDC00...0xDFFF).contains(low) else { throw Self.half }
            code = 0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00)
        }
        guard code != 0 else { throw .unstorable("holds the character U+0000, which PostgreSQL can't store") }
        guard let scalar = Unicode.Scalar(code) else { throw Self.half }
        text += Array(String(Character(scalar)).utf8)
    }

    private static let half = JSONFault.unstorable("holds half of a surrogate pair, which is no character")

    private mutating func hexadecimal() throws(JSONFault) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = hexDigit(byte) else { throw fault }
            position += 1
            value = value << 4 | UInt16(digit)
        }
        return value
    }
}
