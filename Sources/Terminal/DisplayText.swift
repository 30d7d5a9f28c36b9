extension StringProtocol {
    /// Fit for one line of a terminal: line ends and tabs become blanks, and what a terminal would take for a command,
    /// or what turns the direction of writing, becomes `�`. Texts of jobs come from anybody.
    public var oneLine: String { cleaned(keepingLines: false) }

    /// The same with line ends kept.
    public var manyLines: String { cleaned(keepingLines: true) }

    private func cleaned(keepingLines: Bool) -> String {
        var clean = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            switch scalar {
            case "\n" where keepingLines: clean.append(scalar)
            case "\n", "\t": clean.append(" ")
            case "\r": if !keepingLines { clean.append(" ") }
            // Marks that only belong to their neighbours: joiners of emoji and of some scripts.
            case "\u{200C}", "\u{200D}": clean.append(scalar)
            default:
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator: clean.append("\u{FFFD}")
                default: clean.append(scalar)
                }
            }
        }
        return String(clean)
    }

    /// The columns it takes on a terminal, as far as that can be known.
    public var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }

    /// Its start, with `…` in place of what doesn't fit into `width` columns.
    public func shortened(to width: Int) -> String {
        guard displayWidth > width else { return String(self) }
        guard width > 0 else { return "" }
        var start = ""
        var used = 0
        for character in self {
            used += character.displayWidth
            if used > width - 1 { break }
            start.append(character)
        }
        return start + "…"
    }
}

extension Character {
    fileprivate var displayWidth: Int {
        guard let first = unicodeScalars.first else { return 0 }
        if first.isASCII { return 1 }
        if first.properties.generalCategory == .nonspacingMark || first.properties.generalCategory == .enclosingMark {
            return 0
        }
        let isEmoji = first.properties.isEmojiPresentation || unicodeScalars.contains("\u{FE0F}")
        return isEmoji || Character.wide.contains { $0.contains(first.value) } ? 2 : 1
    }

    /// East Asian characters that take two columns: https://www.unicode.org/reports/tr11/
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
        0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
        0x20000...0x3FFFD,
    ]
}
