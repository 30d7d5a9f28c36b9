import Glibc

/// A server that takes datagrams of DogStatsD.
public enum StatsdDestination: Sendable, Hashable {
    /// - Parameter host: A name or an address; an IPv6 address without brackets.
    case udp(host: String, port: Int)
    /// A Unix datagram socket.
    case socket(path: String)

    /// The longest datagram: what passes an Ethernet without being taken apart, and what the servers read at most.
    var bytesMax: Int {
        switch self {
        case .udp: 1432
        case .socket: 8192
        }
    }

    /// A socket from which datagrams go there. Looks names up, which may take long.
    /// - Parameter turn: Where a name has several addresses, the one to begin with; counted on when nobody was there.
    /// - Throws: What the system says, as a sentence.
    func open(turn: Int = 0) throws(StatsdFailure) -> Int32 {
        switch self {
        case .udp(let host, let port): try StatsdDestination.openUDP(host: host, port: port, turn: turn)
        case .socket(let path): try StatsdDestination.openUnix(path: path)
        }
    }

    private static func openUDP(host: String, port: Int, turn: Int) throws(StatsdFailure) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        hints.ai_family = AF_UNSPEC
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, String(port), &hints, &list)
        guard result == 0 else { throw StatsdFailure(String(cString: gai_strerror(result))) }
        defer { freeaddrinfo(list) }
        var all: [addrinfo] = []
        var next = list
        while let address = next?.pointee {
            all.append(address)
            next = address.ai_next
        }
        // Servers mostly listen on IPv4 alone, and over UDP nothing tells at once that nobody is there.
        let addresses = all.filter { $0.ai_family == AF_INET } + all.filter { $0.ai_family != AF_INET }
        var last: Int32 = ENOENT
        for number in addresses.indices {
            let address = addresses[(number + turn) % addresses.count]
            let descriptor = Glibc.socket(
                address.ai_family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else {
                last = errno
                continue
            }
            if connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return descriptor }
            last = errno
            close(descriptor)
        }
        throw StatsdFailure(code: last)
    }

    private static func openUnix(path: String) throws(StatsdFailure) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = path.utf8CString
        guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else {
            throw StatsdFailure(code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            bytes.withUnsafeBytes { place.copyMemory(from: $0) }
        }
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw StatsdFailure(code: errno) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw StatsdFailure(code: code)
        }
        return descriptor
    }
}

/// Why figures can't be sent.
struct StatsdFailure: Error, Sendable, Hashable {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    init(code: Int32) { reason = String(cString: strerror(code)) }
}
