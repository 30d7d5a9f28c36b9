import Terminal
import Testing

struct DisplayTextTests {
    @Test(arguments: [
        ("plain", "plain"), ("two\nlines\tand a tab", "two lines and a tab"), ("a\r\nb", "a  b"),
        ("\u{1B}[31mred", "�[31mred"), ("\u{9B}2J", "�2J"), ("\u{202E}desrever", "�desrever"), ("\u{7}", "�"),
        ("ü 日本 👩‍👩‍👧", "ü 日本 👩‍👩‍👧"),
    ])
    func `a job's text can't command the terminal`(text: String, shown: String) {
        #expect(text.oneLine == shown)
    }

    @Test func `a text of many lines keeps its lines and nothing else`() {
        #expect("a\r\n\tb\n\u{1B}c".manyLines == "a\n b\n�c")
    }

    @Test(arguments: [("abc", 3), ("日本", 4), ("e\u{301}", 1), ("👩‍👩‍👧", 2), ("", 0), ("…", 1)])
    func `width is counted in columns`(text: String, width: Int) {
        #expect(text.displayWidth == width)
    }

    @Test(arguments: [
        ("abcdef", 6, "abcdef"), ("abcdef", 4, "abc…"), ("日本語", 4, "日…"), ("日本語", 5, "日本…"), ("ab", 1, "…"),
        ("ab", 0, ""),
    ])
    func `what doesn't fit is shortened and says so`(text: String, width: Int, shown: String) {
        #expect(text.shortened(to: width) == shown)
    }
}
