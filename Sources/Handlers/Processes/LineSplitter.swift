import Glibc

/// Cuts what comes through a pipe into lines. Keeps no more than one line, and of that no more than its limit.
struct LineSplitter {
    struct Line: Sendable, Hashable {
        /// Without its line end.
        var bytes: [UInt8]
        /// How many bytes were left out at its end.
        var missing = 0
    }

    /// Most bytes of a line that are kept.
    let limit: Int
    private var line = Line(bytes: [])

    init(limit: Int) { self.limit = limit }

    /// - Parameter take: Called with each whole line.
    mutating func feed(_ bytes: UnsafeRawBufferPointer, take: (Line) -> Void) {
        var rest = bytes
        while let end = Self.lineEnd(in: rest) {
            add(UnsafeRawBufferPointer(rebasing: rest[..<end]))
            take(cutEnd())
            rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...])
        }
        add(rest)
    }

    /// How many line ends there are; for what isn't kept.
    static func lineEnds(in bytes: UnsafeRawBufferPointer) -> Int {
        var (rest, count) = (bytes, 0)
        while let end = lineEnd(in: rest) {
            count += 1
            rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...])
        }
        return count
    }

    private static func lineEnd(in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let start = bytes.baseAddress, let found = memchr(start, 0x0A, bytes.count) else { return nil }
        return UnsafeRawPointer(found) - start
    }

    /// What came after the last line end, if anything did.
    mutating func finish() -> Line? {
        line.bytes.isEmpty && line.missing == 0 ? nil : cutEnd()
    }

    private mutating func add(_ bytes: UnsafeRawBufferPointer) {
        let kept = min(bytes.count, max(0, limit - line.bytes.count))
        line.bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<kept]))
        line.missing += bytes.count - kept
    }

    private mutating func cutEnd() -> Line {
        defer { line = Line(bytes: []) }
        if line.missing == 0, line.bytes.last == UInt8(ascii: "\r") { line.bytes.removeLast() }
        return line
    }
}

extension LineSplitter.Line {
    /// Without spaces and tabs alone.
    var isEmpty: Bool { missing == 0 && bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 } }

    /// What isn't UTF-8, and NUL, which PostgreSQL can't hold, becomes U+FFFD.
    var text: String { Self.text(bytes) + (missing > 0 ? "…" : "") }

    static func text(_ bytes: some Collection<UInt8>) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.utf8.contains(0) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == "\0" ? "\u{FFFD}" : $0 }))
    }
}
