import Glibc

/// The text of a file that people or systemd provide.
package struct FileText {
    /// More is no configuration.
    static let bytesMax = 1 << 20

    package let text: String
    /// Whether every user of this machine may read it.
    let isReadableByAll: Bool

    /// The text without the one line end at its end that editors leave there.
    var withoutLineEnd: String {
        guard text.utf8.last == UInt8(ascii: "\n") else { return text }
        return String(decoding: text.utf8.dropLast(), as: UTF8.self)
    }

    /// Why there is no text.
    package enum Problem: Error {
        case missing
        /// In words that follow the file's path.
        case unusable(String)
    }

    package init(path: String) throws(Problem) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            throw code == ENOENT || code == ENOTDIR ? .missing : .unusable("can't be opened: \(reason(code))")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unusable("can't be read: \(reason(errno))") }
        isReadableByAll = status.st_mode & S_IFMT == S_IFREG && status.st_mode & S_IROTH != 0

        // One byte more than is allowed shows that there is more.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: FileText.bytesMax + 1, alignment: 1)
        var length = 0
        defer {
            // It may hold secrets. The string outlives it; this copy needn't.
            if let start = buffer.baseAddress { explicit_bzero(start, length) }
            buffer.deallocate()
        }
        while length < buffer.count {
            let free = UnsafeMutableRawBufferPointer(rebasing: buffer[length...])
            let count = read(descriptor, free.baseAddress, free.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw .unusable("can't be read: \(reason(errno))")
            }
            length += count
        }
        guard length <= FileText.bytesMax else { throw .unusable("is larger than \(FileText.bytesMax) bytes") }
        guard let text = String(validating: buffer[..<length], as: UTF8.self) else { throw .unusable("is not UTF-8") }
        self.text = text
    }
}

/// The system's sentence for an error number.
func reason(_ code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
        guard let start = buffer.baseAddress, strerror_r(code, start, buffer.count) == 0 else {
            return "error \(code)"
        }
        return String(cString: start)
    }
}
