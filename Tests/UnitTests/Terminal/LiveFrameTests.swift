import Terminal
import Testing

struct LiveFrameTests {
    @Test func `a drawing takes the place of the last`() {
        var frame = LiveFrame()
        #expect(frame.drawing("a\nb\n", height: 10) == "a\u{1B}[K\nb\u{1B}[K\n\u{1B}[J")
        #expect(frame.drawing("c\n", height: 10) == "\u{1B}[2A\rc\u{1B}[K\n\u{1B}[J")
        #expect(frame.drawing("", height: 10) == "\u{1B}[1A\r\u{1B}[J")
        #expect(frame.drawing("d", height: 10) == "d\u{1B}[K\n\u{1B}[J")
    }

    @Test func `what is higher than the terminal is cut, so that nothing scrolls away`() {
        var frame = LiveFrame()
        #expect(frame.drawing("a\nb\nc\nd\n", height: 3) == "a\u{1B}[K\nb\u{1B}[K\n\u{1B}[J")
    }
}
