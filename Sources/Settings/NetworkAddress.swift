/// A host and a port.
public struct HostPort: Sendable, Hashable {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    public let host: String
    /// 0 where any free port will do.
    public let port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

extension HostPort: CustomStringConvertible {
    /// `host:port`, an IPv6 address in brackets.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Where figures go to, as DogStatsD.
public enum StatsdAddress: Sendable, Hashable {
    case udp(HostPort)
    /// A Unix datagram socket.
    case socket(path: String)
}

extension StatsdAddress: CustomStringConvertible {
    public var description: String {
        switch self {
        case .udp(let address): address.description
        case .socket(let path): path
        }
    }
}

/// The most bytes of a Unix socket's path, by `sockaddr_un` without its zero byte.
let socketPathBytesMax = 107

extension Form<HostPort> {
    /// An address to listen on.
    static var listenAddress: Form {
        Form("host:port, as 127.0.0.1:8080, or [::]:8080 for every address; port 0 takes any free one") {
            text throws(BadValue) in try HostPort(parsing: text.trimmingBlanks, ports: 0...65_535)
        }
    }
}

extension Form<StatsdAddress> {
    /// A socket may also be written as DogStatsD's clients do, `unix:///path`.
    static var statsd: Form {
        Form("host:port, or the path of a Unix socket that begins with '/'") { text throws(BadValue) in
            let text = text.trimmingBlanks
            let path = text.hasPrefix("unix://") ? String(text.dropFirst("unix://".count)) : text
            guard path.hasPrefix("/") else { return .udp(try HostPort(parsing: path, ports: 1...65_535)) }
            guard isPath(path, bytesMax: socketPathBytesMax) else {
                throw BadValue("the path of a socket has at most \(socketPathBytesMax) bytes")
            }
            return .socket(path: path)
        }
    }
}

extension HostPort {
    init(parsing text: String, ports: ClosedRange<Int>) throws(BadValue) {
        guard let colon = text.lastIndex(of: ":") else { throw BadValue("the port is missing") }
        guard let port = wholeNumber(text[text.index(after: colon)...]), ports.contains(port) else {
            throw BadValue("the port must be a whole number from \(ports.lowerBound) to \(ports.upperBound)")
        }
        let host = text[..<colon]
        guard !host.isEmpty else { throw BadValue("the host is missing") }
        guard HostPort.isHost(host) else { throw BadValue("the host can't be right; an IPv6 address needs brackets") }
        self.init(host: String(host.first == "[" ? host.dropFirst().dropLast() : host), port: port)
    }

    static func isHostWithOptionalPort(_ text: some StringProtocol) -> Bool {
        let isBare = isHost(text)
        return isBare || (try? HostPort(parsing: String(text), ports: 1...65_535)) != nil
    }

    /// Its look alone: whether it exists is for the resolver.
    private static func isHost(_ text: some StringProtocol) -> Bool {
        if text.first == "[", text.last == "]" {
            let address = text.dropFirst().dropLast()
            // The zone of a link-local address may follow a '%'.
            return address.contains(":")
                && address.utf8.allSatisfy { isWordByte($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "%") }
        }
        return (1...253).contains(text.utf8.count) && text.utf8.allSatisfy(isWordByte)
    }
}
