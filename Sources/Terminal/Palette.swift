/// Colours by meaning, or none.
///
/// A colour only repeats what a word says already.
public struct Palette: Sendable {
    public enum Tone: Sendable {
        case good, busy, caution, bad, faint, strong
    }

    public static let plain = Palette(isColoured: false)

    public let isColoured: Bool

    public init(isColoured: Bool) { self.isColoured = isColoured }

    /// The text in the tone's colour; as it is for `nil` and without colours.
    public func paint(_ text: String, _ tone: Tone?) -> String {
        guard isColoured, let tone, !text.isEmpty else { return text }
        return "\u{1B}[\(Palette.code(tone))m\(text)\u{1B}[0m"
    }

    private static func code(_ tone: Tone) -> String {
        switch tone {
        case .good: "32"
        case .busy: "36"
        case .caution: "33"
        case .bad: "31"
        case .faint: "2"
        case .strong: "1"
        }
    }
}

/// What a text is made for.
public struct Screen: Sendable {
    /// In columns; `nil` where lines may have any length.
    public let width: Int?
    public let palette: Palette

    public init(width: Int?, palette: Palette) {
        self.width = width
        self.palette = palette
    }

    public static let plain = Screen(width: nil, palette: .plain)
}
