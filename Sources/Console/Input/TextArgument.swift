import Terminal

/// Text given in place, in a file or on standard input.
@MainActor
package enum TextArgument {
    /// - Parameter argument: `-` for standard input, `@FILE` for a file, anything else is the text.
    /// - Throws: `Complaint`.
    package static func read(_ argument: String, limit: Int) throws -> String {
        if argument == "-" { return try contents(of: "-", limit: limit) }
        if argument.hasPrefix("@") { return try contents(of: String(argument.dropFirst()), limit: limit) }
        return argument
    }

    /// A secret: from a file, else from standard input, asked for unseen where that is a terminal.
    /// - Throws: `Complaint`.
    package static func secret(file: String?, question: String) throws -> String {
        if file == nil, SecretPrompt.isPossible {
            guard let text = SecretPrompt.ask(question) else { throw Complaint(.interrupted, "nothing was changed") }
            return text
        }
        return try contents(of: file ?? "-", limit: 64 * 1024)
    }

    private static func contents(of path: String, limit: Int) throws -> String {
        do throws(LineReader.Problem) {
            var reader = try LineReader(path: path)
            return try reader.rest(limit: limit)
        } catch { throw Complaint(.usage, "\(path == "-" ? "standard input" : path) \(error)") }
    }
}
