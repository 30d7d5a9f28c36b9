import FoundationEssentials
import Postgres

/// The form of a value that comes in or goes out: declared once, then checked and described by the same words.
package struct Schema: Sendable {
    package indirect enum Kind: Sendable {
        /// Characters are counted as code points, as PostgreSQL counts them. One line holds no control characters.
        case text(ClosedRange<Int>, isOneLine: Bool)
        /// Text of a certain form: a regular expression for readers, the same as a function, and in words that follow
        /// "must be".
        case pattern(String, takes: @Sendable (String) -> Bool, rule: String)
        case uuid
        /// A time with its zone, RFC 3339.
        case moment
        case choice([String])
        case whole(ClosedRange<Int>)
        case number
        case boolean
        case anything
        /// - `isOpen`: whether members that aren't declared may be there. - `mayBeEmpty`: whether it may have none.
        case object([Property], isOpen: Bool, mayBeEmpty: Bool = true)
        /// Members of any name, alike.
        case map(Schema)
        case list(Schema, ClosedRange<Int>)
        /// The first that takes it.
        case either([Schema])
        /// The first if it has this member, else the second.
        case byMember(String, Schema, Schema)
        /// One of the document's components, for answers.
        case component(String)
    }

    package struct Property: Sendable {
        let name: String
        let schema: Schema
        let isRequired: Bool
        /// What the application's older clients write: `jobType` for `job_type`.
        let otherName: String

        package init(_ name: String, _ schema: Schema, isRequired: Bool = false) {
            self.name = name
            self.schema = schema
            self.isRequired = isRequired
            let words = name.split(separator: "_")
            otherName = (words.first.map(String.init) ?? "") + words.dropFirst().map(\.capitalized).joined()
        }
    }

    package let kind: Kind
    package var isNullable = false
    package var note: String?

    package init(_ kind: Kind, note: String? = nil) {
        self.kind = kind
        self.note = note
    }

    package var orNull: Schema {
        var schema = self
        schema.isNullable = true
        return schema
    }

    package func noted(_ note: String) -> Schema {
        var schema = self
        schema.note = note
        return schema
    }
}

extension Schema {
    /// Finds what is wrong with a value.
    /// - Parameters:
    ///   - place: Where it stands, for the sentences: `payload`, `jobs[3].priority`.
    ///   - mistakes: Sentences without a full stop are added here.
    /// - Returns: The value with the declared names.
    func read(_ node: JSONNode, _ place: String, _ mistakes: inout [String]) -> JSONNode {
        if node.isNull, isNullable { return node }
        switch kind {
        case .object(let properties, let isOpen, let mayBeEmpty):
            if !mayBeEmpty, node == .object([]) {
                mistakes.append("\(place) must name at least one condition")
                return node
            }
            return readObject(node, properties, isOpen: isOpen, place, &mistakes)
        case .map(let schema):
            guard case .object(let members) = node else { return refuse(node, place, &mistakes) }
            return .object(
                members.map { .init($0.name, schema.read($0.value, Self.inside(place, $0.name), &mistakes)) })
        case .list(let schema, let count):
            guard case .array(let elements) = node, count.contains(elements.count) else {
                return refuse(node, place, &mistakes)
            }
            return .array(
                elements.enumerated().map { index, element in
                    schema.read(element, "\(place)[\(index)]", &mistakes)
                })
        case .either(let schemas):
            for schema in schemas {
                var own: [String] = []
                let read = schema.read(node, place, &own)
                if own.isEmpty { return read }
            }
            return refuse(node, place, &mistakes)
        case .byMember(let name, let first, let second):
            return (node[name] != nil ? first : second).read(node, place, &mistakes)
        case .anything, .component: return node
        case .text, .pattern, .uuid, .moment, .choice, .whole, .number, .boolean:
            guard takes(node) else { return refuse(node, place, &mistakes) }
            // 5.0 and 5e0 are 5.
            if case .whole = kind, let whole = node.whole { return .number(String(whole)) }
            return node
        }
    }

    private func readObject(
        _ node: JSONNode, _ properties: [Property], isOpen: Bool, _ place: String, _ mistakes: inout [String]
    ) -> JSONNode {
        guard case .object(let members) = node else { return refuse(node, place, &mistakes) }
        var read: [JSONNode.Member] = []
        for member in members {
            guard let property = properties.first(where: { $0.name == member.name || $0.otherName == member.name })
            else {
                if isOpen {
                    read.append(member)
                } else {
                    mistakes.append("\(Self.inside(place, member.name.shortened)) is not known here")
                }
                continue
            }
            guard !read.contains(where: { $0.name == property.name }) else {
                mistakes.append("\(Self.inside(place, property.name)) is there twice")
                continue
            }
            read.append(
                .init(
                    property.name,
                    property.schema.read(member.value, Self.inside(place, property.name), &mistakes)))
        }
        for property in properties where property.isRequired && !read.contains(where: { $0.name == property.name }) {
            mistakes.append("\(Self.inside(place, property.name)) is missing")
        }
        return .object(read)
    }

    private func takes(_ node: JSONNode) -> Bool {
        switch kind {
        case .text(let length, let isOneLine):
            guard let text = node.string, length.contains(text.unicodeScalars.count) else { return false }
            return text.unicodeScalars.allSatisfy {
                $0.value != 0 && !(isOneLine && $0.properties.generalCategory == .control)
            }
        case .pattern(_, let takes, _): return node.string.map(takes) ?? false
        case .uuid: return node.string.flatMap { UUID(uuidString: $0) } != nil
        case .moment:
            guard let text = node.string, let first = text.utf8.first, (0x30...0x39).contains(first) else {
                return false
            }
            return Timestamp(text: text) != nil
        case .choice(let words): return node.string.map(words.contains) ?? false
        case .whole(let range): return node.whole.map(range.contains) ?? false
        case .number: if case .number = node { return true } else { return false }
        case .boolean: if case .bool = node { return true } else { return false }
        default: return true
        }
    }

    private func refuse(_ node: JSONNode, _ place: String, _ mistakes: inout [String]) -> JSONNode {
        mistakes.append("\(place.isEmpty ? "the body" : place) must be \(rule)")
        return node
    }

    private static func inside(_ place: String, _ name: String) -> String { place.isEmpty ? name : "\(place).\(name)" }

    /// What it must be, in words that follow "must be".
    var rule: String {
        let rule =
            switch kind {
            case .text(let length, let isOneLine):
                "text of \(length.lowerBound) to \(length.upperBound) characters"
                    + (isOneLine ? " without control characters" : "")
            case .pattern(_, _, let rule): rule
            case .uuid: "a UUID"
            case .moment: "a time with its zone, as 2026-03-02T08:15:00Z"
            case .choice(let words): "one of \(words.joined(separator: ", "))"
            case .whole(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
            case .number: "a number"
            case .boolean: "true or false"
            case .anything, .component: "any JSON"
            case .object, .map: "an object"
            case .list(_, let count): "a list of \(count.lowerBound) to \(count.upperBound)"
            case .either(let schemas): schemas.map(\.rule).joined(separator: ", or ")
            case .byMember(_, let first, _): first.rule
            }
        return isNullable ? rule + ", or null" : rule
    }
}

extension StringProtocol {
    fileprivate var capitalized: String { prefix(1).uppercased() + dropFirst() }

    /// Part of an answer that quotes what came in.
    var shortened: String {
        let scalars = unicodeScalars.prefix(40).filter { $0.properties.generalCategory != .control }
        return String(String.UnicodeScalarView(scalars)) + (unicodeScalars.count > 40 ? "…" : "")
    }
}
