import JobWorker

/// What a program or endpoint answered, as the database can hold it.
enum ResultText {
    /// JSON as it is; any other text, and JSON that PostgreSQL refuses, as `{"output": …}`; `nil` for nothing.
    static func of(_ text: String) throws -> JSONText? {
        let trimmed = text.utf8.drop(while: isSpace)
        guard !trimmed.isEmpty else { return nil }
        if JSONCheck.accepts(text) { return JSONText(text) }
        return try JSONText(encoding: ["output": text])
    }

    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
}

/// Whether a text is JSON that `jsonb` takes: valid, not too deep, without NUL and half characters, its numbers of a
/// size that `numeric` has.
package enum JSONCheck {
    package static func accepts(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var scanner = Scanner(bytes: bytes)
            guard scanner.value(depth: 0) else { return false }
            scanner.skipSpace()
            return scanner.isAtEnd
        }
    }

    private struct Scanner {
        static let depthMax = 256
        let bytes: UnsafeBufferPointer<UInt8>
        var place = 0

        init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

        var isAtEnd: Bool { place >= bytes.count }
        private var byte: UInt8? { place < bytes.count ? bytes[place] : nil }

        mutating func skipSpace() {
            while let byte, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { place += 1 }
        }

        private mutating func skip(_ character: Unicode.Scalar) -> Bool {
            guard byte == UInt8(ascii: character) else { return false }
            place += 1
            return true
        }

        private mutating func word(_ word: StaticString) -> Bool {
            let count = word.utf8CodeUnitCount
            guard place + count <= bytes.count else { return false }
            for offset in 0..<count where bytes[place + offset] != word.utf8Start[offset] { return false }
            place += count
            return true
        }

        mutating func value(depth: Int) -> Bool {
            guard depth < Self.depthMax else { return false }
            skipSpace()
            switch byte {
            case UInt8(ascii: "{"): return members(depth)
            case UInt8(ascii: "["): return items(depth)
            case UInt8(ascii: "\""): return string()
            case UInt8(ascii: "t"): return word("true")
            case UInt8(ascii: "f"): return word("false")
            case UInt8(ascii: "n"): return word("null")
            default: return number()
            }
        }

        private mutating func members(_ depth: Int) -> Bool {
            place += 1
            skipSpace()
            if skip("}") { return true }
            repeat {
                skipSpace()
                guard byte == UInt8(ascii: "\""), string() else { return false }
                skipSpace()
                guard skip(":"), value(depth: depth + 1) else { return false }
                skipSpace()
            } while skip(",")
            return skip("}")
        }

        private mutating func items(_ depth: Int) -> Bool {
            place += 1
            skipSpace()
            if skip("]") { return true }
            repeat {
                guard value(depth: depth + 1) else { return false }
                skipSpace()
            } while skip(",")
            return skip("]")
        }

        private mutating func string() -> Bool {
            place += 1
            while let byte {
                place += 1
                switch byte {
                case UInt8(ascii: "\""): return true
                case UInt8(ascii: "\\"): guard escape() else { return false }
                case 0..<0x20: return false
                default: break
                }
            }
            return false
        }

        private mutating func escape() -> Bool {
            guard let byte else { return false }
            place += 1
            switch byte {
            case UInt8(ascii: "u"):
                guard let unit = hex(), unit != 0 else { return false }
                switch unit {
                case 0xD800..<0xDC00:
                    guard skip("\\"), skip("u"), let low = hex() else { return false }
                    return (0xDC00..<0xE000).contains(low)
                case 0xDC00..<0xE000: return false
                default: return true
                }
            default: return "\"\\/bfnrt".utf8.contains(byte)
            }
        }

        private mutating func hex() -> UInt32? {
            guard place + 4 <= bytes.count else { return nil }
            defer { place += 4 }
            let digits = String(decoding: bytes[place..<(place + 4)], as: UTF8.self)
            return digits.first == "+" || digits.first == "-" ? nil : UInt32(digits, radix: 16)
        }

        private mutating func number() -> Bool {
            _ = skip("-")
            if !skip("0") { guard (1...10_000).contains(digits()) else { return false } }
            if skip(".") { guard (1...10_000).contains(digits()) else { return false } }
            if skip("e") || skip("E") {
                if !skip("+") { _ = skip("-") }
                // Beyond it numeric overflows.
                return (1...4).contains(digits())
            }
            return true
        }

        private mutating func digits() -> Int {
            let start = place
            while let byte, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { place += 1 }
            return place - start
        }
    }
}
