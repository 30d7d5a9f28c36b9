import Logging
import Logs
import Synchronization
import Testing

struct TextLogHandlerTests {
    private let lines = Lines()

    private func logger(isColoured: Bool = false) -> Logger {
        var logger = Logger(label: "worker") {
            TextLogHandler(
                label: $0, isColoured: isColoured, sink: lines.sink,
                now: { LogTime(secondsSince1970: 1_769_860_801, utcOffsetSeconds: 3600) })
        }
        logger.logLevel = .trace
        return logger
    }

    @Test func `a line has time, level, message and sorted facts`() {
        logger().info(
            "job failed", metadata: ["b": "2", "a": "1", "http": ["status": "502", "path": "/x"], "l": ["1", "2"]])
        #expect(lines.all == ["13:00:01 INFO  job failed a=1 b=2 http.path=/x http.status=502 l=\"[1, 2]\"\n"])
    }

    @Test func `messages line up whatever the level`() {
        for level in Logger.Level.allCases { logger().log(level: level, "x") }
        #expect(
            lines.all.map { $0.dropFirst(9) } == [
                "TRACE x\n", "DEBUG x\n", "INFO  x\n", "NOTE  x\n", "WARN  x\n", "ERROR x\n", "CRIT  x\n",
            ])
    }

    @Test(arguments: [
        ("plain", "plain"), ("", "\"\""), ("two words", "\"two words\""), ("a=b", "\"a=b\""),
        ("say \"hi\\\"", "\"say \\\"hi\\\\\\\"\""), ("a\nb", "a\\nb"), ("\u{1B}[2J", "\\u{1b}[2J"),
        ("\u{9B}2J", "\\u{9b}2J"),
        ("C:\\x", "C:\\x"), ("a\r\n\tb", "a\\r\\n\\tb"), ("\u{2028}", "\\u{2028}"), ("ü😀", "ü😀"),
    ])
    func `a value can be read back and can't end the line`(value: String, written: String) {
        logger().info("m", metadata: ["k": "\(value)"])
        #expect(lines.all == ["13:00:01 INFO  m k=\(written)\n"])
    }

    @Test func `a message can't end the line nor move the cursor`() {
        logger().info("one\ntwo\u{1B}[A \"three\"")
        #expect(lines.all == ["13:00:01 INFO  one\\ntwo\\u{1b}[A \"three\"\n"])
    }

    @Test func `an error comes last`() {
        logger().error("failed", error: Failure(), metadata: ["z": "1"])
        #expect(lines.all == ["13:00:01 ERROR failed z=1 error=\"it broke\"\n"])
    }

    @Test func `colours mark the level and quieten the keys`() {
        logger(isColoured: true).warning("m", metadata: ["k": "v"])
        logger(isColoured: true).info("m")
        #expect(
            lines.all == [
                "13:00:01 \u{1B}[33mWARN \u{1B}[0m m \u{1B}[2mk=\u{1B}[0mv\n", "13:00:01 INFO  m\n",
            ])
    }

    @Test(
        arguments: [
            (true, nil, "xterm", true), (true, nil, nil, true), (true, "", "xterm", true), (true, "1", "xterm", false),
            (true, nil, "dumb", false), (false, nil, "xterm", false),
        ] as [(Bool, String?, String?, Bool)])
    func `colours are for terminals that want them`(isTerminal: Bool, noColor: String?, term: String?, isWanted: Bool) {
        #expect(LogColour.isWanted(isTerminal: isTerminal, noColor: noColor, term: term) == isWanted)
    }

    @Test func `a line of 8 KiB is whole, a longer one is cut and marked`() {
        let head = "13:00:01 INFO  "
        let room = 8192 - head.utf8.count - 1
        logger().info("\(String(repeating: "x", count: room))")
        logger().info("\(String(repeating: "x", count: room + 1))")
        logger().info("\(String(repeating: "😀", count: 5000))")
        #expect(lines.all[0] == head + String(repeating: "x", count: room) + "\n")
        #expect(lines.all[1] == head + String(repeating: "x", count: room - 9) + "… [cut]\n")
        // 4 bytes each, so the cut falls up to 3 bytes early, and never into one.
        #expect(lines.all[2] == head + String(repeating: "😀", count: (room - 9) / 4) + "… [cut]\n")
        #expect(lines.all.allSatisfy { $0.utf8.count <= 8192 })
    }
}

struct JSONLogHandlerTests {
    private let lines = Lines()

    private var logger: Logger {
        Logger(label: "worker") {
            JSONLogHandler(
                label: $0, sink: lines.sink,
                now: { LogTime(secondsSince1970: 1_769_860_801, milliseconds: 7, utcOffsetSeconds: 3600) })
        }
    }

    private let head = #"{"timestamp":"2026-01-31T12:00:01.007Z","level":"info","logger":"worker","message":"#

    @Test func `a line is one object of texts`() {
        logger.info("job done", metadata: ["n": .stringConvertible(5), "a": ["x": "1"], "l": ["p", "q"]])
        #expect(lines.all == [head + #""job done","metadata":{"a.x":"1","l":"[p, q]","n":"5"}}"# + "\n"])
    }

    @Test func `without facts there is no metadata`() {
        logger.info("m", metadata: ["empty": [:]])
        #expect(lines.all == [head + "\"m\"}\n"])
    }

    @Test func `an error has a member of its own`() {
        logger.info("m", error: Failure(), metadata: ["a": "1"])
        #expect(lines.all == [head + #""m","error":"it broke","metadata":{"a":"1"}}"# + "\n"])
    }

    @Test(arguments: [
        ("\"\\/", #"\"\\/"#), ("\n\r\t", #"\n\r\t"#), ("\u{0}\u{8}\u{1F}", #"\u0000\u0008\u001f"#),
        ("\u{7F}\u{85}\u{2028}\u{2029}", #"\u007f\u0085\u2028\u2029"#), ("ü😀\u{FFFF}", "ü😀\u{FFFF}"),
        (String(decoding: [0x61, 0xFF, 0xC3] as [UInt8], as: UTF8.self), "a\u{FFFD}\u{FFFD}"), ("\r\n", #"\r\n"#),
    ])
    func `every text is escaped, as key and as value`(text: String, written: String) {
        logger.info("\(text)", metadata: [text: "\(text)"])
        #expect(lines.all == [head + "\"\(written)\",\"metadata\":{\"\(written)\":\"\(written)\"}}\n"])
    }

    @Test func `a long message leaves room for the facts, and says that it was cut`() {
        logger.info("\(String(repeating: "x", count: 9000))", metadata: ["JOB_ID": "7"])
        let message = String(repeating: "x", count: 4096 - 5)
        #expect(lines.all == [head + "\"\(message)…\",\"metadata\":{\"JOB_ID\":\"7\"},\"cut\":true}\n"])
    }

    @Test func `what is cut stays JSON, at most 8 KiB long`() {
        for length in 3900..<4200 {
            for piece in ["x", "\n", "😀", "\u{1}"] {
                let text = String(repeating: piece, count: length)
                logger.info("\(text)", metadata: ["a": "\(text)", "b": "\(text)", "c": "d", text: "e"])
            }
        }
        for line in lines.all {
            #expect(line.utf8.count <= 8192)
            #expect(line.hasSuffix(",\"cut\":true}\n"))
            #expect(isFlatJSON(line))
        }
        #expect(lines.all.count == 1200)
    }

    /// Whether quotes, escapes and braces match, which is where a cut could go wrong.
    private func isFlatJSON(_ line: String) -> Bool {
        var depth = 0
        var isInside = false
        var bytes = line.utf8.makeIterator()
        var previous: UInt8 = 0
        while let byte = bytes.next() {
            if isInside, byte == UInt8(ascii: "\\") {
                guard let kind = bytes.next(), "\"\\nrtu".utf8.contains(kind) else { return false }
                if kind == UInt8(ascii: "u") {
                    for _ in 0..<4 {
                        guard let digit = bytes.next(), "0123456789abcdef".utf8.contains(digit) else { return false }
                    }
                }
            } else if byte == UInt8(ascii: "\"") {
                isInside.toggle()
            } else if !isInside {
                if byte == UInt8(ascii: "{") { depth += 1 }
                if byte == UInt8(ascii: "}") { depth -= 1 }
                if byte == UInt8(ascii: ","), ",{:".utf8.contains(previous) { return false }
            }
            previous = byte
        }
        return depth == 0 && !isInside
    }
}

private struct Failure: Error, CustomStringConvertible {
    var description: String { "it broke" }
}

/// Keeps lines instead of writing them.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var sink: LogSink {
        LogSink { line in self.lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
    }
}
