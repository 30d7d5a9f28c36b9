import Glibc
import Systemd

/// Where lines go.
public struct LogSink: Sendable {
    /// The longest line, its line end included; what is longer is cut and marked.
    public static let lineBytesMax = 8 * 1024

    /// Takes one line, with its line end.
    public let write: @Sendable ([UInt8]) -> Void

    public init(write: @escaping @Sendable ([UInt8]) -> Void) { self.write = write }

    /// One write(2) to standard error a line, so that lines of several threads don't mix. Who logs doesn't wait for who
    /// reads; what can't be written is dropped.
    public static let standardError = LogSink { line in
        standardErrorWriter.write(LogWriter.Line(size: line.count) { writeAll(line, to: STDERR_FILENO) })
    }
}

let standardErrorWriter = LogWriter { hasRoom(for: $0.size, in: STDERR_FILENO) }

/// The journal, in the same way.
let journalWriter: LogWriter = {
    let queue = JournalQueue()
    return LogWriter { _ in queue.hasRoom }
}()

@Sendable func writeToJournal(_ fields: [JournalField]) {
    journalWriter.write(LogWriter.Line(size: 0) { sendToJournal(fields) })
}

/// Once it was asked for: at the end of the process lines whose reader is slow have a moment left. What it doesn't take by
/// then is lost.
let flushesAtExit: Void = {
    _ = atexit { for writer in [standardErrorWriter, journalWriter] { writer.flush(milliseconds: 500) } }
}()

func writeAll(_ line: [UInt8], to descriptor: Int32) {
    line.withUnsafeBytes { bytes in
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = Glibc.write(descriptor, piece.baseAddress, piece.count)
            if count < 0 {
                if errno == EINTR { continue }
                guard errno == EAGAIN else { return }
                // Somebody who shares it has made it non-blocking.
                var status = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&status, 1, -1)
                continue
            }
            rest = rest.dropFirst(count)
        }
    }
}
