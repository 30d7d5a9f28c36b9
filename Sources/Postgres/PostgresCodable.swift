/// A Swift value that can be a statement's parameter, sent as text with its type.
public protocol PostgresEncodable: Sendable {
    /// The OID in `pg_type`: https://github.com/postgres/postgres/blob/REL_15_STABLE/src/include/catalog/pg_type.dat
    static var postgresType: UInt32 { get }
    /// The OID of the array of it.
    static var postgresArrayType: UInt32 { get }
    var postgresText: String { get }
}

/// A Swift value that can be read from a column's text.
public protocol PostgresDecodable: Sendable {
    /// - Returns: `nil` where the text is not one of these.
    init?(postgresText: String)
    /// The same from the text's UTF-8, for types that need no string on the way.
    init?(postgresBytes: UnsafeRawBufferPointer)
}

extension PostgresDecodable {
    public init?(postgresBytes: UnsafeRawBufferPointer) {
        self.init(postgresText: String(decoding: postgresBytes, as: UTF8.self))
    }
}

public typealias PostgresCodable = PostgresEncodable & PostgresDecodable

extension String: PostgresCodable {
    public static var postgresType: UInt32 { 25 }
    public static var postgresArrayType: UInt32 { 1009 }
    public var postgresText: String { self }
    public init?(postgresText: String) { self = postgresText }
}

extension Int: PostgresCodable {
    public static var postgresType: UInt32 { 20 }
    public static var postgresArrayType: UInt32 { 1016 }
    public var postgresText: String { String(self) }
    public init?(postgresText: String) { self.init(postgresText) }
}

extension Int64: PostgresCodable {
    public static var postgresType: UInt32 { 20 }
    public static var postgresArrayType: UInt32 { 1016 }
    public var postgresText: String { String(self) }
    public init?(postgresText: String) { self.init(postgresText) }
}

extension Double: PostgresCodable {
    public static var postgresType: UInt32 { 701 }
    public static var postgresArrayType: UInt32 { 1022 }
    public var postgresText: String {
        isNaN ? "NaN" : isInfinite ? (self < 0 ? "-Infinity" : "Infinity") : String(self)
    }
    public init?(postgresText: String) { self.init(postgresText) }
}

extension Bool: PostgresCodable {
    public static var postgresType: UInt32 { 16 }
    public static var postgresArrayType: UInt32 { 1000 }
    public var postgresText: String { self ? "t" : "f" }
    public init?(postgresText: String) {
        switch postgresText {
        case "t", "true": self = true
        case "f", "false": self = false
        default: return nil
        }
    }
}

extension Timestamp: PostgresCodable {
    public static var postgresType: UInt32 { 1184 }
    public static var postgresArrayType: UInt32 { 1185 }
    public var postgresText: String { text(fractionDigits: 6) }
    public init?(postgresText: String) { self.init(text: postgresText) }
    public init?(postgresBytes: UnsafeRawBufferPointer) { self.init(utf8: postgresBytes) }
}

extension Duration: PostgresEncodable {
    public static var postgresType: UInt32 { 1186 }
    public static var postgresArrayType: UInt32 { 1187 }
    /// An `interval`, exact to the microsecond.
    public var postgresText: String {
        let (seconds, attoseconds) = components
        return "\(seconds) seconds \(attoseconds / 1_000_000_000_000) microseconds"
    }
}

/// JSON as the database holds it: bytes that nobody has parsed.
public struct RawJSON: Sendable, Hashable, PostgresCodable {
    public let text: String

    /// - Parameter text: Valid JSON. PostgreSQL refuses anything else with SQLSTATE 22P02.
    public init(_ text: String) { self.text = text }

    public static var postgresType: UInt32 { 3802 }
    public static var postgresArrayType: UInt32 { 3807 }
    public var postgresText: String { text }
    public init?(postgresText: String) { text = postgresText }
}

extension Array: PostgresEncodable where Element: PostgresEncodable {
    public static var postgresType: UInt32 { Element.postgresArrayType }
    public static var postgresArrayType: UInt32 { Element.postgresArrayType }
    public var postgresText: String {
        var texts: [String?] = []
        texts.reserveCapacity(count)
        for element in self { texts.append(element.postgresText) }
        return ArrayText.encode(texts)
    }
}

/// An array some of whose elements are NULL.
public struct NullableArray<Element: PostgresEncodable>: PostgresEncodable {
    public let elements: [Element?]
    public init(_ elements: [Element?]) { self.elements = elements }
    public static var postgresType: UInt32 { Element.postgresArrayType }
    public static var postgresArrayType: UInt32 { Element.postgresArrayType }
    public var postgresText: String { ArrayText.encode(elements.map { $0?.postgresText }) }
}

extension Array: PostgresDecodable where Element: PostgresDecodable {
    /// One dimension, no NULL inside.
    public init?(postgresText: String) {
        guard let texts = ArrayText.decode(postgresText) else { return nil }
        var elements: [Element] = []
        elements.reserveCapacity(texts.count)
        for text in texts {
            guard let text, let element = Element(postgresText: text) else { return nil }
            elements.append(element)
        }
        self = elements
    }
}

/// The text form of an array: https://www.postgresql.org/docs/15/arrays.html#ARRAYS-IO
enum ArrayText {
    static func encode(_ elements: [String?]) -> String {
        var text: [UInt8] = [UInt8(ascii: "{")]
        text.reserveCapacity(elements.reduce(2) { $0 + ($1?.utf8.count ?? 4) + 3 })
        for element in elements {
            if text.count > 1 { text.append(UInt8(ascii: ",")) }
            guard let element else {
                text.append(contentsOf: "NULL".utf8)
                continue
            }
            text.append(UInt8(ascii: "\""))
            ArrayText.append(element, to: &text)
            text.append(UInt8(ascii: "\""))
        }
        text.append(UInt8(ascii: "}"))
        return String(decoding: text, as: UTF8.self)
    }

    /// What lies between quotes and backslashes goes at once: JSON is full of both.
    private static func append(_ element: String, to text: inout [UInt8]) {
        var element = element
        element.withUTF8 { bytes in
            var start = 0
            for index in bytes.indices
            where bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "\\") {
                text.append(contentsOf: bytes[start..<index])
                text.append(UInt8(ascii: "\\"))
                start = index
            }
            text.append(contentsOf: bytes[start...])
        }
    }

    static func decode(_ text: String) -> [String?]? {
        var bytes = Array(text.utf8)[...]
        guard bytes.popFirst() == UInt8(ascii: "{") else { return nil }
        var elements: [String?] = []
        if bytes.first == UInt8(ascii: "}") { return bytes.count == 1 ? [] : nil }
        while true {
            var element: [UInt8] = []
            var quoted = false
            if bytes.first == UInt8(ascii: "\"") {
                quoted = true
                bytes.removeFirst()
                while let byte = bytes.popFirst(), byte != UInt8(ascii: "\"") {
                    if byte == UInt8(ascii: "\\") {
                        guard let escaped = bytes.popFirst() else { return nil }
                        element.append(escaped)
                    } else {
                        element.append(byte)
                    }
                }
            } else {
                while let byte = bytes.first, byte != UInt8(ascii: ","), byte != UInt8(ascii: "}") {
                    // A brace or a quote here is another dimension, or no array at all.
                    guard byte != UInt8(ascii: "{"), byte != UInt8(ascii: "\"") else { return nil }
                    element.append(byte)
                    bytes.removeFirst()
                }
            }
            let value = String(decoding: element, as: UTF8.self)
            elements.append(!quoted && value == "NULL" ? nil : value)
            switch bytes.popFirst() {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "}"): return bytes.isEmpty ? elements : nil
            default: return nil
            }
        }
    }
}
