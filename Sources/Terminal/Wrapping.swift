extension StringProtocol {
    /// On as many lines as a terminal needs, broken between words; what has no blank stays whole.
    /// - Parameters:
    ///   - width: In columns, `indent` included; `nil` keeps it on one line.
    ///   - indent: In front of each line.
    public func wrapped(to width: Int?, behind indent: String) -> String {
        let room = Swift.max(20, (width ?? .max) - indent.displayWidth)
        var lines: [String] = []
        var line = ""
        for word in split(separator: " ") {
            if !line.isEmpty, line.displayWidth + 1 + word.displayWidth > room {
                lines.append(line)
                line = ""
            }
            line += line.isEmpty ? String(word) : " \(word)"
        }
        return (lines + [line]).map { indent + $0 }.joined(separator: "\n")
    }
}
