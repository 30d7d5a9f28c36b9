/// Everything that is wrong with the settings, at once. The program that gets it exits with status 78.
public struct SettingsReport: Error, Sendable, Equatable {
    /// One thing that is wrong.
    public struct Mistake: Sendable, Equatable {
        /// The setting's name, or the path of a file that can't be used.
        public let subject: String
        /// What stands there, `•••` if that is secret; `nil` where there is no value.
        public let value: String?
        /// Where it stands; `nil` where no source is to blame.
        public let origin: Origin?
        /// What is wrong, where that is more than the value not being `allowed`.
        public let problem: String?
        /// What may stand there, in words that follow "must be".
        public let allowed: String?
    }

    /// At least one: whole files first, then settings in the catalogue's order, then settings that don't fit together.
    public let mistakes: [Mistake]
}

extension SettingsReport: CustomStringConvertible {
    /// A heading, and a line for each mistake.
    public var description: String {
        let count = mistakes.count == 1 ? "1 mistake" : "\(mistakes.count) mistakes"
        return (["\(count) in the settings:"] + mistakes.map { "  \($0)" }).joined(separator: "\n")
    }
}

extension SettingsReport.Mistake: CustomStringConvertible {
    /// As `WORKER_MAX_CONCURRENT = '0' (environment): must be a whole number from 1 to 10000`.
    public var description: String {
        var line = subject
        if let value { line += " = \(value == Secret.mask ? value : "'\(value)'")" }
        if let origin { line += " (\(origin))" }
        let rule = allowed.map { "must be \($0)" }
        return line + ": " + [problem, rule].compactMap(\.self).joined(separator: "; ")
    }
}

/// A value as a line of a report can hold it: on one line, and not too long.
func shownValue(_ text: String) -> String {
    let scalars = text.unicodeScalars
    let start = scalars.prefix(100).map { isPrintable($0) ? String($0) : "\\u{\(String($0.value, radix: 16))}" }
    return start.joined() + (scalars.count > 100 ? "…" : "")
}
