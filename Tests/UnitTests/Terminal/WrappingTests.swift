import Terminal
import Testing

@Suite struct WrappingTests {
    @Test func `text is broken between words where the terminal ends, each line behind its indent`() {
        #expect("one two three four five six".wrapped(to: 24, behind: "  ") == "  one two three four\n  five six")
        #expect("one two".wrapped(to: nil, behind: "  ") == "  one two")
    }

    @Test func `a word that is wider than the terminal stays whole, and wide characters count twice`() {
        let long = String(repeating: "x", count: 40)
        #expect("a \(long) b".wrapped(to: 24, behind: "") == "a\n\(long)\nb")
        #expect("計画計画計画 計画計画計画".wrapped(to: 24, behind: "") == "計画計画計画\n計画計画計画")
    }
}
