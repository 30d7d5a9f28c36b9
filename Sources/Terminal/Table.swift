/// Rows in aligned columns, as wide as the screen at most.
public struct Table: Sendable {
    public struct Column: Sendable {
        public enum Alignment: Sendable { case left, right }

        public let title: String
        public let alignment: Alignment
        /// What it may be shortened to; `nil` where every character counts.
        public let widthMin: Int?
        /// Whether it may be left out on a narrow screen: the one with the least weight goes first. `nil` never goes.
        public let weight: Int?

        public init(_ title: String, _ alignment: Alignment = .left, widthMin: Int? = nil, weight: Int? = nil) {
            self.title = title
            self.alignment = alignment
            self.widthMin = widthMin
            self.weight = weight
        }
    }

    public struct Cell: Sendable, ExpressibleByStringLiteral {
        public let text: String
        public let tone: Palette.Tone?

        public init(_ text: String, _ tone: Palette.Tone? = nil) {
            self.text = text.oneLine
            self.tone = tone
        }

        public init(stringLiteral value: String) { self.init(value) }
    }

    private let columns: [Column]
    private var rows: [[Cell]] = []
    private static let gap = 2

    public init(_ columns: [Column]) { self.columns = columns }

    /// - Precondition: As many cells as there are columns.
    public mutating func add(_ cells: [Cell]) {
        precondition(cells.count == columns.count, "\(cells.count) cells for \(columns.count) columns")
        rows.append(cells)
    }

    /// The whole table, each line with its end.
    public func text(for screen: Screen) -> String {
        let layout = layout(width: screen.width)
        let head = columns.map { Cell($0.title, .faint) }
        return ([head] + rows).map { line($0, layout, screen.palette) + "\n" }.joined()
    }

    /// The columns shown and their widths.
    private func layout(width: Int?) -> [(column: Int, width: Int)] {
        let natural = columns.indices.map { column in
            rows.reduce(columns[column].title.displayWidth) { max($0, $1[column].text.displayWidth) }
        }
        var shown = Array(columns.indices)
        while true {
            let widths = shown.map { (column: $0, width: natural[$0]) }
            guard let width else { return widths }
            let fitted = shrink(widths, to: width)
            if Table.total(fitted) <= width { return fitted }
            let dispensable = shown.compactMap { column in columns[column].weight.map { (column, weight: $0) } }
            guard let least = dispensable.min(by: { $0.weight < $1.weight }) else { return fitted }
            shown.removeAll { $0 == least.0 }
        }
    }

    /// Takes from the widest column that may be shortened, a column at a time.
    private func shrink(_ widths: [(column: Int, width: Int)], to limit: Int) -> [(column: Int, width: Int)] {
        var widths = widths
        var excess = Table.total(widths) - limit
        while excess > 0 {
            let candidates = widths.indices.filter { index in
                columns[widths[index].column].widthMin.map { widths[index].width > $0 } ?? false
            }
            guard let widest = candidates.max(by: { widths[$0].width < widths[$1].width }) else { break }
            widths[widest].width -= 1
            excess -= 1
        }
        return widths
    }

    private static func total(_ widths: [(column: Int, width: Int)]) -> Int {
        widths.reduce(0) { $0 + $1.width } + gap * max(0, widths.count - 1)
    }

    private func line(_ cells: [Cell], _ layout: [(column: Int, width: Int)], _ palette: Palette) -> String {
        var line = ""
        var blanks = 0
        for (column, width) in layout {
            let text = cells[column].text.shortened(to: width)
            let padding = max(0, width - text.displayWidth)
            let isRight = columns[column].alignment == .right
            // Blanks are written only where something follows them.
            let before = blanks + (isRight ? padding : 0)
            if !text.isEmpty {
                line += String(repeating: " ", count: before) + palette.paint(text, cells[column].tone)
                blanks = 0
            } else {
                blanks = before
            }
            blanks += (isRight ? 0 : padding) + Table.gap
        }
        return line
    }
}
