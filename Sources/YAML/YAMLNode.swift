/// A value of a YAML document, with the line it stands on.
///
/// Scalars are kept as they are written: what a text means is for its reader to say.
package struct YAMLNode: Sendable, Hashable {
    package indirect enum Content: Sendable, Hashable {
        case scalar(String)
        /// Nothing at all, `~` or `null`, without quotes.
        case nothing
        case sequence([YAMLNode])
        /// In the order of the document, each key once.
        case mapping([Pair])
    }

    package struct Pair: Sendable, Hashable {
        package let key: YAMLNode
        package let value: YAMLNode
    }

    package let content: Content
    /// A scalar that stands without quotes.
    package let isPlain: Bool
    /// Counts from 1.
    package let line: Int

    init(content: Content, isPlain: Bool = false, line: Int) {
        self.content = content
        self.isPlain = isPlain
        self.line = line
    }

    /// The text of a scalar; `nil` for anything else.
    package var text: String? { if case .scalar(let text) = content { text } else { nil } }
}

/// Why a text can't be read as one YAML document.
package struct YAMLError: Error, Sendable, Hashable {
    /// Counts from 1; `nil` where no line is to blame.
    package let line: Int?
    /// The parser's sentence, which quotes nothing of the text.
    package let problem: String
    /// The key that stands twice, if that is the problem.
    package let duplicateKey: String?

    init(line: Int?, problem: String, duplicateKey: String? = nil) {
        self.line = line
        self.problem = problem
        self.duplicateKey = duplicateKey
    }
}
