import Glibc
import Synchronization

/// Standard output or standard error.
///
/// What is written after the reader has gone is dropped without a word, as for `| head`; the program has to ignore
/// SIGPIPE. A write waits for a slow reader, so it belongs on the main thread.
public final class Output: Sendable {
    public static let standard = Output(descriptor: STDOUT_FILENO)
    public static let error = Output(descriptor: STDERR_FILENO)

    public let descriptor: Int32
    public let isTerminal: Bool
    /// The first `errno` of a write; 0 while all is well.
    private let failure = Atomic<Int32>(0)

    public init(descriptor: Int32) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
    }

    /// Whether somebody still reads, as far as can be seen. A stream ends when nobody does.
    public var isOpen: Bool {
        guard failure.load(ordering: .relaxed) == 0 else { return false }
        var state = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&state, 1, 0) < 1 || state.revents & Int16(POLLERR | POLLNVAL) == 0
    }

    /// Why something could not be written, if that is worth a word: a reader that has gone is not.
    public var problem: String? {
        let code = failure.load(ordering: .relaxed)
        guard code != 0, code != EPIPE else { return nil }
        return String(cString: strerror(code))
    }

    /// The terminal's width in columns; `nil` where lines may have any length.
    public var width: Int? { isTerminal ? size?.columns : nil }

    /// The terminal's height in lines.
    public var height: Int? { isTerminal ? size?.rows : nil }

    private var size: (columns: Int, rows: Int)? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (Int(size.ws_col), Int(size.ws_row))
    }

    /// Writes the text as it is.
    public func write(_ text: String) {
        guard failure.load(ordering: .relaxed) == 0 else { return }
        var text = text
        text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    if errno == EAGAIN {
                        // Somebody else made the terminal non-blocking.
                        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                        poll(&wait, 1, -1)
                        continue
                    }
                    failure.store(errno, ordering: .relaxed)
                    return
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    /// Writes the text and ends the line.
    public func line(_ text: String) { write(text + "\n") }
}
