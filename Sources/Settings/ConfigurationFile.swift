import Yams

/// The configuration file: a flat mapping from keys, the settings' names in lower case, to values.
///
/// Values are taken as they are written, so that `yes`, `007` and `1.50` mean here what they mean in the
/// environment. The only place that knows the YAML parser.
struct ConfigurationFile {
    struct Item {
        let key: String
        /// Counts from 1.
        let line: Int
        let value: Value
    }

    enum Value {
        case text(String)
        case list([String])
        /// Neither text nor a list of it.
        case other
    }

    /// What makes the whole file unusable.
    struct Problem: Error {
        let line: Int?
        let text: String
    }

    let items: [Item]

    init(parsing yaml: String) throws(Problem) {
        let root: Node?
        do {
            root = try Parser(yaml: yaml, resolver: .basic).singleRoot()
        } catch let error as YamlError {
            throw Problem(error, in: yaml)
        } catch {
            throw Problem(line: nil, text: "is no YAML")
        }
        guard let root, !root.isNothing else {
            items = []
            return
        }
        guard let mapping = root.mapping else {
            throw Problem(line: root.mark?.line, text: "must be a mapping of 'name: value' lines")
        }
        items = mapping.map { key, value in
            Item(key: key.scalar?.string ?? "", line: key.mark?.line ?? 1, value: Value(value))
        }
    }
}

extension ConfigurationFile.Value {
    fileprivate init(_ node: Node) {
        if let scalar = node.scalar {
            self = .text(node.isNothing ? "" : scalar.string)
        } else if let entries = node.sequence?.map({ $0.isNothing ? "" : $0.scalar?.string }), !entries.contains(nil) {
            self = .list(entries.compactMap(\.self))
        } else {
            self = .other
        }
    }
}

extension ConfigurationFile.Problem {
    /// Takes the parser's sentence and line. Its whole description would quote lines, and those may hold secrets.
    fileprivate init(_ error: YamlError, in yaml: String) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(line: mark.line, text: "is no YAML: \(problem)")
        case .reader(let problem, _, _, _):
            self.init(line: nil, text: "is no YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            // The parser tells where the mapping begins; people look for the later one of the keys.
            let lines = yaml.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            let last = lines.lastIndex { line in keys.contains { line.hasPrefix("\($0):") } }
            let names = keys.map(shownKey).joined(separator: ", ")
            self.init(line: last.map { $0 + 1 } ?? context.mark.line, text: "has a key twice: \(names)")
        case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            self.init(line: nil, text: "is no YAML")
        }
    }
}

extension Node {
    /// An empty value, `~` or `null`, without quotes.
    fileprivate var isNothing: Bool {
        guard let scalar, scalar.style == .plain || scalar.style == .any else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }
}

/// A key as it may be shown: what is no name at all might be a value, and that a secret.
func shownKey(_ key: String) -> String {
    (1...64).contains(key.utf8.count) && key.utf8.allSatisfy(isWordByte) ? "'\(key)'" : "one that is no name"
}
