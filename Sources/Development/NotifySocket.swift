import Glibc

/// Stands in for systemd: takes the messages of sd_notify(3), for tests and measurements.
package final class NotifySocket: Sendable {
    package let path: String
    /// Each assignment by itself, such as `READY=1`, in the order in which they came. For one reader.
    package let assignments: AsyncStream<String>
    private let descriptor: Int32

    /// - Parameter path: At most 107 bytes; nothing may be there.
    package init(path: String) throws(DevelopmentError) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = path.utf8CString
        guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else {
            throw DevelopmentError("\(path) is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes.map { UInt8(bitPattern: $0) }) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw DevelopmentError("\(path): \(String(cString: strerror(errno)))") }
        let (stream, continuation) = AsyncStream<String>.makeStream()
        self.path = path
        self.descriptor = descriptor
        assignments = stream
        // Reading blocks, so it has a thread of its own.
        let reader = Reader(descriptor: dup(descriptor), continuation: continuation)
        var thread = pthread_t()
        guard pthread_create(&thread, nil, readerMain, Unmanaged.passRetained(reader).toOpaque()) == 0 else {
            throw DevelopmentError("no thread for \(path)")
        }
        pthread_detach(thread)
    }

    deinit {
        // Ends the reader's recv as well.
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    /// Waits for an assignment that fits, dropping those before it.
    /// - Returns: `nil` when none came within `limit`.
    package func wait(
        within limit: Duration, for isWanted: @escaping @Sendable (String) -> Bool
    ) async -> String? {
        await withTaskGroup(of: String?.self) { race in
            race.addTask {
                for await assignment in self.assignments where isWanted(assignment) { return assignment }
                return nil
            }
            race.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            defer { race.cancelAll() }
            return await race.next() ?? nil
        }
    }

    private final class Reader: Sendable {
        let descriptor: Int32
        let continuation: AsyncStream<String>.Continuation

        init(descriptor: Int32, continuation: AsyncStream<String>.Continuation) {
            self.descriptor = descriptor
            self.continuation = continuation
        }

        func run() {
            var buffer = [UInt8](repeating: 0, count: 8192)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                for line in String(decoding: buffer.prefix(count), as: UTF8.self).split(separator: "\n") {
                    continuation.yield(String(line))
                }
            }
            close(descriptor)
            continuation.finish()
        }
    }

    /// A static function, not a closure: C calls it on the new thread, where no isolation holds.
    fileprivate static func read(_ argument: UnsafeMutableRawPointer) {
        Unmanaged<Reader>.fromOpaque(argument).takeRetainedValue().run()
    }
}

private func readerMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { NotifySocket.read(argument) }
    return nil
}
