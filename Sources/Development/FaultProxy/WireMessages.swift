/// Cuts what a client sends into PostgreSQL's messages, and knows which statement each of them runs.
///
/// https://www.postgresql.org/docs/15/protocol-message-formats.html
struct ClientMessages {
    struct Message {
        var bytes: [UInt8]
        /// The text of the statement that this message runs.
        var statement: String?
        /// Whether the server answers it with one byte that is no message.
        var asksForEncryption = false
    }

    private enum Phase { case starting, started, opaque }

    private(set) var application: String?
    private var phase = Phase.starting
    private var buffer: [UInt8] = []
    private var prepared: [String: String] = [:]

    mutating func append(_ bytes: ArraySlice<UInt8>) { buffer += bytes }

    /// From here on it is encrypted.
    mutating func becomeOpaque() { phase = .opaque }

    /// The next message that is there as a whole.
    mutating func next() -> Message? {
        switch phase {
        case .opaque:
            guard !buffer.isEmpty else { return nil }
            defer { buffer = [] }
            return Message(bytes: buffer)
        case .starting:
            guard let bytes = take(typed: false) else { return nil }
            return start(bytes)
        case .started:
            guard let bytes = take(typed: true) else { return nil }
            return Message(bytes: bytes, statement: statement(of: bytes))
        }
    }

    private mutating func take(typed: Bool) -> [UInt8]? {
        let header = typed ? 5 : 4
        guard buffer.count >= header else { return nil }
        let length = buffer[(header - 4)..<header].reduce(0) { $0 << 8 | Int($1) } + header - 4
        guard buffer.count >= length else { return nil }
        defer { buffer.removeFirst(length) }
        return Array(buffer.prefix(length))
    }

    private mutating func start(_ bytes: [UInt8]) -> Message {
        let code = bytes.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
        switch code {
        case 80_877_103, 80_877_104: return Message(bytes: bytes, asksForEncryption: true)
        case 80_877_102: phase = .opaque
        default:
            phase = .started
            let words = bytes.dropFirst(8).split(separator: 0, omittingEmptySubsequences: false)
            if let place = words.firstIndex(where: { $0.elementsEqual("application_name".utf8) }),
                place + 1 < words.count
            {
                application = String(decoding: words[place + 1], as: UTF8.self)
            }
        }
        return Message(bytes: bytes)
    }

    private mutating func statement(of bytes: [UInt8]) -> String? {
        func words(_ count: Int) -> [String] {
            bytes.dropFirst(5).split(separator: 0, maxSplits: count, omittingEmptySubsequences: false)
                .prefix(count).map { String(decoding: $0, as: UTF8.self) }
        }
        switch bytes.first {
        case UInt8(ascii: "Q"): return words(1).first
        case UInt8(ascii: "P"):
            let parts = words(2)
            prepared[parts[0]] = parts.last
            return nil
        case UInt8(ascii: "B"): return words(2).last.flatMap { prepared[$0] }
        default: return nil
        }
    }
}

/// Follows what a server sends, to see when an answer is complete.
struct ServerMessages {
    /// Bytes to come that are no message: answers to requests for encryption.
    var bareBytes = 0
    private(set) var isOpaque = false
    private var header: [UInt8] = []
    private var bodyLeft = 0

    /// - Returns: Whether the server has said that it is ready for the next statement, which it does after a commit.
    mutating func isReady(after bytes: ArraySlice<UInt8>) -> Bool {
        var isReady = false
        var rest = bytes
        while let byte = rest.first, !isOpaque {
            if bareBytes > 0 {
                bareBytes -= 1
                isOpaque = byte != UInt8(ascii: "N") && byte != UInt8(ascii: "E")
                rest = rest.dropFirst()
            } else if bodyLeft > 0 {
                let count = min(bodyLeft, rest.count)
                bodyLeft -= count
                rest = rest.dropFirst(count)
            } else {
                header.append(byte)
                rest = rest.dropFirst()
            }
            if header.count == 5 {
                bodyLeft = header[1...].reduce(0) { $0 << 8 | Int($1) } - 4
                isReady = isReady || header[0] == UInt8(ascii: "Z")
                header = []
            }
        }
        return isReady
    }
}
