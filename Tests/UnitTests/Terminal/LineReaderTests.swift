import Terminal
import Testing

struct LineReaderTests {
    private let folder: SettingsFolder

    init() throws { folder = try SettingsFolder() }

    private func lines(_ text: String, limit: Int = 100) throws -> [String] {
        var reader = try LineReader(path: folder.write(text, to: "lines"))
        var lines: [String] = []
        while let line = try reader.line(limit: limit) { lines.append(line) }
        return lines
    }

    @Test func `lines end with a line feed, also the last without one`() throws {
        #expect(try lines("a\nb\r\n\nc") == ["a", "b", "", "c"])
        #expect(try lines("") == [])
        #expect(try lines("\n") == [""])
    }

    @Test func `a long file comes whole`() throws {
        let long = (0..<20_000).map { "line \($0)" }
        #expect(try lines(long.joined(separator: "\n") + "\n") == long)
    }

    @Test func `a line over the limit is refused`() {
        #expect(throws: LineReader.Problem.tooLong(limit: 10)) {
            try lines(String(repeating: "x", count: 200_000), limit: 10)
        }
        #expect(throws: LineReader.Problem.tooLong(limit: 10)) { try lines("12345678901\n", limit: 10) }
    }

    @Test func `other than UTF-8 is refused`() throws {
        let path = try folder.write([0x61, 0xFC, 0x0A] as [UInt8], to: "latin")
        #expect(throws: LineReader.Problem.notUTF8) {
            var reader = try LineReader(path: path)
            _ = try reader.rest(limit: 10)
        }
    }

    @Test func `a file that isn't there is told so`() {
        #expect(throws: LineReader.Problem.unusable("can't be opened: No such file or directory")) {
            _ = try LineReader(path: "/nonexistent/file").isRepeatable
        }
    }
}
