import JobWorker

/// An organisation or a person as Apollo sent it, read with patience: a field of an unexpected kind counts as
/// absent, and new fields may come at any time.
struct ApolloRecord: Sendable, Hashable {
    let members: [String: JSONValue]

    init(_ members: [String: JSONValue]) {
        self.members = members
    }

    /// Trimmed text; a number is taken as text. `nil` when absent, null, empty or of another kind.
    func text(_ name: String) -> String? {
        switch members[name] {
        case .string(let text): text.cleaned
        case .integer(let number): String(number)
        default: nil
        }
    }

    /// Text that is a web address: `http`, `https`, or without a scheme.
    func link(_ name: String) -> String? {
        guard let text = text(name), text.unicodeScalars.allSatisfy({ $0 != " " }) else { return nil }
        guard let scheme = text.firstRange(of: "://") else {
            // `javascript:…` and the like would become a link on somebody's page.
            return text.contains(":") ? nil : text
        }
        return ["http", "https"].contains(text[..<scheme.lowerBound].lowercased()) ? text : nil
    }

    /// A number, also one that came as text such as `"$41,250,000"` or `"41.3M"`. Never negative.
    func number(_ name: String) -> Double? {
        let number: Double? =
            switch members[name] {
            case .integer(let value): Double(value)
            case .double(let value): value
            case .string(let text): ApolloRecord.number(in: text)
            default: nil
            }
        guard let number, number.isFinite, number >= 0 else { return nil }
        return number
    }

    /// The elements of a list; none when it is absent or null.
    func list(_ name: String) -> [JSONValue] { members[name]?.array ?? [] }

    /// The objects of a list.
    func records(_ name: String) -> [ApolloRecord] { list(name).compactMap { $0.object.map { ApolloRecord($0) } } }

    /// An object that isn't empty.
    func record(_ name: String) -> ApolloRecord? {
        guard let members = members[name]?.object, !members.isEmpty else { return nil }
        return ApolloRecord(members)
    }

    private static func number(in text: String) -> Double? {
        var digits = text.filter { $0.isASCII && ($0.isNumber || $0 == "." || $0.isLetter || $0 == "-") }
        let factor: Double
        switch digits.last {
        case "K", "k": factor = 1e3
        case "M", "m": factor = 1e6
        case "B", "b": factor = 1e9
        default: factor = 1
        }
        if factor > 1 { digits.removeLast() }
        return Double(digits).map { $0 * factor }
    }
}

extension ApolloRecord {
    /// The record in an answer, or in a cache entry: below `member`, or the document itself.
    ///
    /// - Returns: `nil` for no match, in each form seen: `{}`, `null`, the member absent, null or empty.
    init?(in document: JSONValue, member: String) {
        guard let whole = document.object else { return nil }
        if let inner = whole[member] {
            guard let members = inner.object, !members.isEmpty else { return nil }
            self.init(members)
        } else {
            // What the application stored is the bare record; both have an id or a name.
            guard whole["id"] != nil || whole["name"] != nil else { return nil }
            self.init(whole)
        }
    }
}

extension String {
    /// Without surrounding white space and without control characters, NUL above all: PostgreSQL refuses it.
    /// `nil` when nothing is left.
    var cleaned: String? {
        var text = String(
            String.UnicodeScalarView(unicodeScalars.lazy.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
        while let last = text.last, last.isWhitespace { text.removeLast() }
        let start = text.firstIndex { !$0.isWhitespace } ?? text.endIndex
        text.removeSubrange(..<start)
        return text.isEmpty ? nil : text
    }

    /// At most `width` characters as `varchar(width)` counts them: code points.
    func cut(_ width: Int) -> String {
        guard unicodeScalars.count > width else { return self }
        return String(String.UnicodeScalarView(unicodeScalars.prefix(width))).cleaned ?? ""
    }
}

extension JSONValue {
    /// The same document without U+0000, which `jsonb` can't hold.
    var withoutNUL: JSONValue {
        switch self {
        case .string(let text):
            text.utf8.contains(0) ? .string(text.filter { $0 != "\0" }) : self
        case .array(let elements):
            .array(elements.map(\.withoutNUL))
        case .object(let members):
            .object(
                Dictionary(
                    members.map { ($0.filter { $0 != "\0" }, $1.withoutNUL) }, uniquingKeysWith: { first, _ in first }))
        case .null, .bool, .integer, .double:
            self
        }
    }
}
