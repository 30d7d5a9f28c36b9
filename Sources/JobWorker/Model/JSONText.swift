import FoundationEssentials

/// JSON that nobody has parsed yet: a payload or a result, as it goes to and from the database.
public struct JSONText: Sendable, Hashable, CustomStringConvertible {
    /// Valid JSON, UTF-8.
    public let text: String

    /// - Parameter text: Valid JSON; it is not checked here, the database refuses anything else.
    public init(_ text: String) { self.text = text }

    /// Writes a value as JSON with sorted keys.
    public init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        text = String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// Reads it as a value.
    /// - Throws: `DecodingError`.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    public var description: String { text }
}
