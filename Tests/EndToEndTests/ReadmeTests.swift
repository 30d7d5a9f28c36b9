import FoundationEssentials
import Testing

@Suite struct ReadmeTests {
    private static func readme() throws -> ReadmeBlocks {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let data = try Data(contentsOf: root.appending(path: "README.md"))
        return try ReadmeBlocks(String(decoding: data, as: UTF8.self))
    }

    @Test func `README marks its tour as tested`() throws {
        let blocks = try Self.readme().blocks
        #expect(blocks.count >= 4)
        for block in blocks { #expect(block.commands.contains("jobworker "), "README.md:\(block.line)") }
    }

    @Test func `a marked block is found with its line, an unmarked one isn't`() throws {
        let text = """
            # Title
            ```sh
            not this
            ```
            <!-- tested -->
            ```sh
            one
            two
            ```
            """
        #expect(try ReadmeBlocks(text).blocks == [.init(line: 7, commands: "one\ntwo")])
    }

    @Test(arguments: [
        ("<!-- tested -->", 1), ("<!-- tested -->\n", 2), ("<!-- tested -->\n```swift\nlet a\n```", 2),
        ("a\n<!-- tested -->\n\n```sh\nx\n```", 3), ("<!-- tested -->\n```sh\nx", 3),
    ])
    func `a mark without a whole block of sh behind it is told with its line`(text: String, line: Int) {
        let problem = #expect(throws: ReadmeBlocks.Problem.self) { try ReadmeBlocks(text) }
        #expect(problem?.line == line)
    }
}
