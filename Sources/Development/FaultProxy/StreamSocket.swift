import Glibc

/// The few calls on sockets that the proxy needs; nothing here blocks.
enum StreamSocket {
    static func listen(unix path: String) throws(DevelopmentError) -> Int32 {
        let descriptor = try make(AF_UNIX)
        guard withUnixAddress(path, { bind(descriptor, $0, $1) }) == 0, Glibc.listen(descriptor, 1024) == 0 else {
            throw failure(path, closing: descriptor)
        }
        return descriptor
    }

    static func listenOnLoopback() throws(DevelopmentError) -> (descriptor: Int32, port: Int) {
        let descriptor = try make(AF_INET)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
            }
        }
        guard result == 0, Glibc.listen(descriptor, 1024) == 0 else {
            throw failure("127.0.0.1", closing: descriptor)
        }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// - Returns: `nil` when nobody listens there.
    static func connect(unix path: String) -> Int32? {
        guard let descriptor = try? make(AF_UNIX) else { return nil }
        guard withUnixAddress(path, { Glibc.connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    static func accept(_ listener: Int32) -> Int32? {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        return descriptor
    }

    /// Closes so that a peer by TCP gets a reset.
    static func reset(_ descriptor: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    private static func make(_ family: Int32) throws(DevelopmentError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(family, kind, 0)
        guard descriptor >= 0 else { throw DevelopmentError("no socket: \(String(cString: strerror(errno)))") }
        return descriptor
    }

    private static func failure(_ address: String, closing descriptor: Int32) -> DevelopmentError {
        let reason = String(cString: strerror(errno))
        close(descriptor)
        return DevelopmentError("\(address): \(reason)")
    }

    private static func withUnixAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = path.utf8CString
        guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else {
            errno = ENAMETOOLONG
            return -1
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes.map { UInt8(bitPattern: $0) }) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
