import Glibc

/// The files systemd decrypts for this service alone (`LoadCredential=`, systemd.exec(5)).
public struct Credentials: Sendable {
    /// The longest credential that is read.
    public static let bytesMax = 64 * 1024

    /// Where the files are; `nil` outside systemd, and then there is no credential.
    public let directory: String?

    /// Uses `CREDENTIALS_DIRECTORY` of this process's environment.
    public init() { self.init(directory: getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }) }

    public init(directory: String?) { self.directory = directory.flatMap { $0.isEmpty ? nil : $0 } }

    /// Reads one credential, without the one line end at its end that editors leave there.
    ///
    /// - Returns: `nil` if there is none of that name; "" if it is empty.
    /// - Throws: `SystemdError` if the name is a path, or the file can't be read, is no plain file, is
    ///   longer than `bytesMax`, or isn't UTF-8.
    public func read(_ name: String) throws(SystemdError) -> String? {
        let operation = "reading the credential \(name)"
        guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(where: { $0 == 0x2F || $0 == 0 })
        else { throw SystemdError(operation, reason: "a credential's name is a file name, not a path") }
        guard let directory else { return nil }

        // O_NONBLOCK: a FIFO must not hold the start up; plain files don't care.
        let descriptor = open("\(directory)/\(name)", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw SystemdError(operation, code: errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw SystemdError(operation, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemdError(operation, reason: "not a plain file") }

        var buffer = [UInt8](repeating: 0, count: Self.bytesMax + 1)
        // The string outlives the call; this copy of the secret needn't.
        defer { buffer.withUnsafeMutableBytes { if let start = $0.baseAddress { explicit_bzero(start, $0.count) } } }
        var length = 0
        while length < buffer.count {
            let count = buffer.withUnsafeMutableBytes { buffer in
                let free = UnsafeMutableRawBufferPointer(rebasing: buffer[length...])
                return Glibc.read(descriptor, free.baseAddress, free.count)
            }
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemdError(operation, code: errno)
            }
            length += count
        }
        guard length <= Self.bytesMax else {
            throw SystemdError(operation, reason: "longer than \(Self.bytesMax) bytes")
        }
        if length > 0, buffer[length - 1] == UInt8(ascii: "\n") { length -= 1 }
        guard let text = String(validating: buffer[..<length], as: UTF8.self) else {
            throw SystemdError(operation, reason: "not UTF-8")
        }
        return text
    }
}
