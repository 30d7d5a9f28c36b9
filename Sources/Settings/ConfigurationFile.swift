import YAML

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
        let root: YAMLNode?
        do {
            root = try YAMLNode.parse(yaml)
        } catch {
            throw Problem(error)
        }
        switch root?.content {
        case nil, .nothing: items = []
        case .mapping(let pairs):
            items = pairs.map { pair in
                Item(key: pair.key.text ?? "", line: pair.key.line, value: Value(pair.value))
            }
        case .scalar, .sequence: throw Problem(line: root?.line, text: "must be a mapping of 'name: value' lines")
        }
    }
}

extension ConfigurationFile.Value {
    fileprivate init(_ node: YAMLNode) {
        switch node.content {
        case .scalar(let text): self = .text(text)
        case .nothing: self = .text("")
        case .sequence(let nodes):
            let entries = nodes.map { $0.content == .nothing ? "" : $0.text }
            self = entries.contains(nil) ? .other : .list(entries.compactMap(\.self))
        case .mapping: self = .other
        }
    }
}

extension ConfigurationFile.Problem {
    /// A sentence without any line of the file: that may hold a secret.
    fileprivate init(_ error: YAMLError) {
        if let key = error.duplicateKey {
            self.init(line: error.line, text: "has a key twice: \(shownKey(key))")
        } else {
            self.init(line: error.line, text: "is no YAML: \(error.problem)")
        }
    }
}

/// A key as it may be shown: what is no name at all might be a value, and that a secret.
func shownKey(_ key: String) -> String {
    (1...64).contains(key.utf8.count) && key.utf8.allSatisfy(isWordByte) ? "'\(key)'" : "one that is no name"
}
