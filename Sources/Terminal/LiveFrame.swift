/// Draws a text again and again in the same place of a terminal.
///
/// Each drawing is one piece of text that leaves the cursor below it, so that a program may end at any time.
public struct LiveFrame: Sendable {
    private var lineCount = 0

    public init() {}

    /// What to write to replace the last drawing by this one.
    /// - Parameters:
    ///   - text: Lines no wider than the terminal.
    ///   - height: The terminal's; lines that don't fit are left out at the end.
    public mutating func drawing(_ text: String, height: Int?) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        if let height, lines.count > height - 1 { lines = Array(lines.prefix(max(1, height - 1))) }
        // Up, then each line anew with the rest of it cleared, then what is below.
        var drawing = lineCount > 0 ? "\u{1B}[\(lineCount)A\r" : ""
        for line in lines { drawing += line + "\u{1B}[K\n" }
        lineCount = lines.count
        return drawing + "\u{1B}[J"
    }
}
