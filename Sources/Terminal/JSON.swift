/// A JSON document to print. Members keep the order in which they were given.
public indirect enum JSON: Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    case double(Double)
    case string(String)
    /// JSON as it came from elsewhere, each digit kept.
    case raw(String)
    case array([JSON])
    case object([(String, JSON)])

    public init(_ value: String?) { self = value.map { .string($0) } ?? .null }
    public init(_ value: Int?) { self = value.map { .integer($0) } ?? .null }
    public init(_ value: Bool?) { self = value.map { .bool($0) } ?? .null }
    /// Numbers that JSON can't write become null.
    public init(_ value: Double?) { self = value.map { $0.isFinite ? .double($0) : .null } ?? .null }
    public init(_ values: [String]) { self = .array(values.map { .string($0) }) }

    /// On one line, without its end.
    public var line: String {
        var text = ""
        write(to: &text, indent: nil)
        return text
    }

    /// On many lines, two blanks deeper at each level.
    public var document: String {
        var text = ""
        write(to: &text, indent: 0)
        return text
    }

    private func write(to text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        case .double(let value): text += value.isFinite ? JSON.number(value) : "null"
        case .string(let value): JSON.quote(value, to: &text)
        case .raw(let value): text += value
        case .array(let elements):
            JSON.write(elements.map { (nil, $0) }, between: "[]", to: &text, indent: indent)
        case .object(let members):
            JSON.write(members.map { ($0.0, $0.1) }, between: "{}", to: &text, indent: indent)
        }
    }

    private static func write(
        _ items: [(name: String?, value: JSON)], between brackets: String, to text: inout String, indent: Int?
    ) {
        text += brackets.prefix(1)
        for (index, item) in items.enumerated() {
            if index > 0 { text += "," }
            if let indent { text += "\n" + String(repeating: "  ", count: indent + 1) }
            if let name = item.name {
                quote(name, to: &text)
                text += indent == nil ? ":" : ": "
            }
            item.value.write(to: &text, indent: indent.map { $0 + 1 })
        }
        if let indent, !items.isEmpty { text += "\n" + String(repeating: "  ", count: indent) }
        text += brackets.suffix(1)
    }

    private static func number(_ value: Double) -> String {
        let text = String(value)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func quote(_ value: String, to text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..<" ", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}

extension JSON {
    /// JSON text on many lines. Only blanks and line ends change; each digit stays.
    public static func indented(_ text: String) -> String {
        var lines = ""
        var depth = 0
        var isInString = false
        var isEscaped = false
        var isOpening = false
        func newLine() { lines += "\n" + String(repeating: "  ", count: depth) }
        for scalar in text.unicodeScalars {
            if isInString {
                lines.unicodeScalars.append(scalar)
                if isEscaped {
                    isEscaped = false
                } else if scalar == "\\" {
                    isEscaped = true
                } else if scalar == "\"" {
                    isInString = false
                }
                continue
            }
            if scalar == " " || scalar == "\n" || scalar == "\r" || scalar == "\t" { continue }
            let isClosing = scalar == "}" || scalar == "]"
            if isClosing { depth -= 1 }
            // An empty object or array stays on its line.
            if isOpening != isClosing { newLine() }
            isOpening = scalar == "{" || scalar == "["
            if isOpening { depth += 1 }
            lines.unicodeScalars.append(scalar)
            if scalar == "\"" { isInString = true }
            if scalar == ":" { lines += " " }
            if scalar == "," { newLine() }
        }
        return lines
    }
}
