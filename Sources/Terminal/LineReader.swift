import Glibc

/// Reads a file or standard input, whole or line by line, with a limit on what is held in memory.
///
/// Reading waits, so it belongs on the main thread.
public struct LineReader: ~Copyable {
    public enum Problem: Error, Sendable, Equatable {
        /// In words that follow the file's name.
        case unusable(String)
        /// The line, or the file read whole, has more bytes than allowed.
        case tooLong(limit: Int)
        case notUTF8
    }

    private let descriptor: Int32
    private let isOurs: Bool
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    /// - Parameter path: `-` for standard input.
    public init(path: String) throws(Problem) {
        if path == "-" {
            self.init(descriptor: STDIN_FILENO, isOurs: false)
        } else {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { throw .unusable("can't be opened: \(String(cString: strerror(errno)))") }
            self.init(descriptor: descriptor, isOurs: true)
        }
    }

    private init(descriptor: Int32, isOurs: Bool) {
        self.descriptor = descriptor
        self.isOurs = isOurs
    }

    deinit { if isOurs { close(descriptor) } }

    /// Whether it can be read a second time from its path: an ordinary file, no pipe.
    public var isRepeatable: Bool {
        var status = stat()
        return isOurs && fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The next line without its end; `nil` after the last.
    public mutating func line(limit: Int) throws(Problem) -> String? {
        var searched = start
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return try text(buffer[start..<end], limit: limit)
            }
            if isAtEnd {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                return try text(buffer[start...], limit: limit)
            }
            guard buffer.count - start <= limit else { throw .tooLong(limit: limit) }
            buffer.removeFirst(start)
            start = 0
            searched = buffer.count
            try fill()
        }
    }

    /// Everything that is left.
    public mutating func rest(limit: Int) throws(Problem) -> String {
        while !isAtEnd {
            guard buffer.count - start <= limit else { throw .tooLong(limit: limit) }
            try fill()
        }
        defer { start = buffer.count }
        return try text(buffer[start...], limit: limit)
    }

    private func text(_ bytes: ArraySlice<UInt8>, limit: Int) throws(Problem) -> String {
        var bytes = bytes
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard bytes.count <= limit else { throw .tooLong(limit: limit) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
        return text
    }

    private mutating func fill() throws(Problem) {
        let size = 64 * 1024
        var count = 0
        let old = buffer.count
        buffer += repeatElement(0, count: size)
        repeat {
            count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress?.advanced(by: old), size) }
        } while count < 0 && errno == EINTR
        let code = errno
        buffer.removeLast(size - max(0, count))
        if count < 0 { throw .unusable("can't be read: \(String(cString: strerror(code)))") }
        if count == 0 { isAtEnd = true }
    }
}

extension LineReader.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unusable(let reason): reason
        case .tooLong(let limit): "has more than \(limit) bytes"
        case .notUTF8: "is not UTF-8"
        }
    }
}
