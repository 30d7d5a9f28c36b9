import Testing

@testable import Terminal

struct TypedLineTests {
    private func type(_ bytes: [UInt8]) -> TypedLine.Step {
        var line = TypedLine()
        var step = TypedLine.Step.more
        for byte in bytes {
            step = line.take(byte)
            if step != .more { break }
        }
        return step
    }

    @Test func `a secret can be corrected while it is typed`() {
        #expect(type(Array("abc".utf8) + [0x7F, 0x0A]) == .done("ab"))
        #expect(type(Array("aü".utf8) + [0x7F] + Array("b\n".utf8)) == .done("ab"))
        #expect(type(Array("wrong".utf8) + [0x15] + Array("right\r".utf8)) == .done("right"))
        #expect(type([0x7F, 0x7F] + Array("a\n".utf8)) == .done("a"))
    }

    @Test func `Ctrl-C and an empty end give up`() {
        #expect(type(Array("abc".utf8) + [0x03]) == .givenUp)
        #expect(type([0x04]) == .givenUp)
        #expect(type(Array("abc".utf8) + [0x04]) == .done("abc"))
    }
}
