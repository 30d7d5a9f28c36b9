import Terminal
import Testing

struct TableTests {
    private var table: Table {
        var table = Table([
            .init("ID"), .init("TYPE", widthMin: 4), .init("N", .right, weight: 1), .init("NOTE", widthMin: 5),
        ])
        table.add(["a1", "enrich_account", "7", "took 3 s"])
        table.add(["a2", "noop", "12", ""])
        return table
    }

    private func lines(_ width: Int?, isColoured: Bool = false) -> [Substring] {
        table.text(for: Screen(width: width, palette: Palette(isColoured: isColoured))).split(separator: "\n")
    }

    @Test func `columns are aligned and lines don't end in blanks`() {
        #expect(
            lines(nil) == [
                "ID  TYPE             N  NOTE", "a1  enrich_account   7  took 3 s", "a2  noop            12",
            ])
    }

    @Test func `the widest column gives way first`() {
        #expect(
            lines(26) == ["ID  TYPE       N  NOTE", "a1  enrich_…   7  took 3 s", "a2  noop      12"])
    }

    @Test func `a column of little weight is left out on a narrow screen`() {
        #expect(lines(15) == ["ID  TYPE  NOTE", "a1  enr…  took…", "a2  noop"])
    }

    @Test func `what can't be shortened stays whole even if it doesn't fit`() {
        #expect(lines(3).last == "a2  noop")
    }

    @Test func `colours take no room`() {
        var table = Table([.init("A"), .init("B")])
        table.add([.init("x", .bad), "y"])
        let text = table.text(for: Screen(width: 10, palette: Palette(isColoured: true)))
        #expect(text == "\u{1B}[2mA\u{1B}[0m  \u{1B}[2mB\u{1B}[0m\n\u{1B}[31mx\u{1B}[0m  y\n")
    }

    @Test func `a cell stays on its line`() {
        var table = Table([.init("A")])
        table.add([.init("one\ntwo\u{1B}[2J")])
        #expect(table.text(for: .plain) == "A\none two�[2J\n")
    }
}
