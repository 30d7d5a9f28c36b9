/// A bearer token of an operator.
public struct OperatorToken: Sendable, Equatable {
    /// Who it is, for the audit: 1 to 64 letters, digits, `.`, `_` or `-`; `nil` where none was given.
    public let name: String?
    /// 1 to 512 printable ASCII characters without blanks and commas.
    public let token: Secret

    /// Whether it has fewer than the 32 characters that are hard to guess: accepted, but worth a warning.
    public var isShort: Bool { token.byteCount < 32 }
}

extension Form<[OperatorToken]> {
    /// Set but empty is a mistake: it would look protected and be closed.
    static var tokens: Form {
        let allowed = """
            one or more of token or name:token with commas between them, a token of 1 to 512 ASCII characters \
            without blanks, a name of letters, digits, '.', '_' or '-'
            """
        return Form(
            allowed, isList: true, refusesEmpty: true, show: { $0.isEmpty ? "none" : Secret.mask }
        ) { text throws(BadValue) in
            var tokens: [OperatorToken] = []
            for (index, entry) in try listEntries(text).enumerated() {
                let token = try OperatorToken(parsing: entry, position: index + 1)
                if let twin = tokens.firstIndex(where: { $0.token == token.token }) {
                    throw BadValue("entries \(twin + 1) and \(index + 1) are the same token")
                }
                tokens.append(token)
            }
            return tokens
        }
    }
}

extension OperatorToken {
    /// Speaks of entries by position alone: all of an entry may be secret.
    fileprivate init(parsing entry: String, position: Int) throws(BadValue) {
        let parts = entry.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(\.trimmingBlanks)
        if parts.count == 2 {
            guard (1...64).contains(parts[0].utf8.count), parts[0].utf8.allSatisfy(isWordByte) else {
                throw BadValue("the name of entry \(position) has other characters, or not 1 to 64 of them")
            }
        }
        guard let token = parts.last, (1...512).contains(token.utf8.count),
            token.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw BadValue("the token of entry \(position) is empty, too long or has other characters") }
        self.init(name: parts.count == 2 ? parts[0] : nil, token: Secret(token))
    }
}
