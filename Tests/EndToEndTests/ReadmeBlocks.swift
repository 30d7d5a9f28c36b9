/// The commands of a document that are to be run as they stand: blocks of `sh` after the mark `<!-- tested -->`.
struct ReadmeBlocks: Sendable {
    struct Block: Sendable, Hashable {
        /// Of the first command, counted from 1.
        let line: Int
        let commands: String
    }

    struct Problem: Error, Hashable, CustomStringConvertible {
        let line: Int
        let reason: String
        var description: String { "line \(line): \(reason)" }
    }

    static let mark = "<!-- tested -->"

    let blocks: [Block]

    /// - Throws: `Problem` where a mark isn't followed by a block of `sh`, or a block doesn't end.
    init(_ text: String) throws(Problem) {
        var blocks: [Block] = []
        var open: (line: Int, commands: [Substring])?
        var isMarked = false
        var line = 0
        for content in text.split(separator: "\n", omittingEmptySubsequences: false) {
            line += 1
            if open != nil {
                if content == "```" {
                    if let (start, commands) = open {
                        blocks.append(Block(line: start, commands: commands.joined(separator: "\n")))
                    }
                    open = nil
                } else {
                    open?.commands.append(content)
                }
            } else if isMarked {
                guard content == "```sh" else {
                    throw Problem(line: line, reason: "a block of sh must follow the mark")
                }
                open = (line + 1, [])
                isMarked = false
            } else {
                isMarked = content == Self.mark
            }
        }
        guard !isMarked else { throw Problem(line: line, reason: "a block of sh must follow the mark") }
        if let open { throw Problem(line: open.line, reason: "the block doesn't end") }
        self.blocks = blocks
    }
}
