import Glibc

/// Where lines go.
public struct LogSink: Sendable {
    /// The longest line, its line end included; what is longer is cut and marked.
    public static let lineBytesMax = 8 * 1024

    /// Takes one line, with its line end.
    public let write: @Sendable ([UInt8]) -> Void

    public init(write: @escaping @Sendable ([UInt8]) -> Void) { self.write = write }

    /// One write(2) to standard error a line, so that lines of several threads don't mix. It waits for
    /// whoever reads; what can't be written is dropped.
    public static let standardError = LogSink { line in
        line.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = UnsafeRawBufferPointer(rebasing: rest)
                let count = Glibc.write(STDERR_FILENO, piece.baseAddress, piece.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    return
                }
                rest = rest.dropFirst(count)
            }
        }
    }
}
