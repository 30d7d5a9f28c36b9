public import Logging

/// Writes lines for people: `12:00:01 INFO  message key=value`.
///
/// Keys are sorted. A value that is empty or holds a space, `"` or `=` stands in quotes; line ends and
/// other control characters are escaped, so that an event is always one line and can't move the cursor.
public struct TextLogHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    public var logLevel: Logger.Level = .info

    private let isColoured: Bool
    private let sink: LogSink
    private let now: @Sendable () -> LogTime

    /// - Parameters:
    ///   - label: Not written; the message says what it is about.
    ///   - now: For tests; by default the time on the wall.
    public init(
        label: String, isColoured: Bool, metadataProvider: Logger.MetadataProvider? = nil,
        sink: LogSink = .standardError, now: @escaping @Sendable () -> LogTime = LogTime.local
    ) {
        self.isColoured = isColoured
        self.metadataProvider = metadataProvider
        self.sink = sink
        self.now = now
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let colour = isColoured ? LogColour.start(event.level) : ""
        var line = "\(now().clock) "
        line += colour.isEmpty ? event.level.word : colour + event.level.word + LogColour.reset
        line += " "
        line += escaped(event.message.description, quote: false)
        var facts = facts(of: event, handler: metadata, provider: metadataProvider)
        if let error = event.error { facts.append(("error", "\(error)")) }
        for (key, value) in facts {
            let name = escaped(key, quote: false)
            line += isColoured ? " \(LogColour.faint)\(name)=\(LogColour.reset)" : " \(name)="
            line += escaped(value, quote: true)
        }
        sink.write(cut(line))
    }

    /// Ends the line, and shortens it if it is too long.
    private func cut(_ line: String) -> [UInt8] {
        var bytes = Array(line.utf8)
        let mark = Array("\(isColoured ? LogColour.reset : "")… [cut]".utf8)
        if bytes.count >= LogSink.lineBytesMax {
            var end = LogSink.lineBytesMax - mark.count - 1
            // Back to a character's first byte.
            while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
            bytes = bytes[..<end] + mark
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    private func escaped(_ text: String, quote: Bool) -> String {
        let isPlain = text.unicodeScalars.allSatisfy { !$0.isControl }
        let isQuoted = quote && (text.isEmpty || text.utf8.contains { $0 == 0x20 || $0 == 0x22 || $0 == 0x3D })
        if isPlain, !isQuoted { return text }
        var result = isQuoted ? "\"" : ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\"" where isQuoted: result += "\\\""
            case "\\" where isQuoted: result += "\\\\"
            case _ where scalar.isControl: result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        if isQuoted { result += "\"" }
        return result
    }
}

extension Unicode.Scalar {
    /// C0, DEL and C1 (some terminals obey the latter too), and Unicode's own line ends.
    fileprivate var isControl: Bool {
        value < 0x20 || (0x7F...0x9F).contains(value) || value == 0x2028 || value == 0x2029
    }
}

extension Logger.Level {
    /// Five characters, so that messages line up.
    fileprivate var word: String {
        switch self {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO "
        case .notice: "NOTE "
        case .warning: "WARN "
        case .error: "ERROR"
        case .critical: "CRIT "
        }
    }
}
