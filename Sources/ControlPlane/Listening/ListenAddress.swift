import NIOCore

/// Where the control plane is to listen.
package enum ListenAddress: Sendable, Hashable {
    /// A Unix socket, made with mode 0660 and removed at the end. Its directory is made if it is missing (0755).
    ///
    /// - `group`: who may connect besides the owner, if that group exists and this process may give files to it.
    case unixSocket(path: String, group: String? = "jobworker")
    /// - `host`: an address or a name; IPv6 without brackets. - `port`: 0 for any free one.
    case tcp(host: String, port: Int)
    /// A listening stream socket that systemd opened. It is closed at the end, and nothing else done to it.
    case descriptor(Int32)
}

extension ListenAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unixSocket(let path, _): path
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .descriptor(let descriptor): "descriptor \(descriptor)"
        }
    }
}

/// Where it listens in the end.
package enum BoundAddress: Sendable, Hashable {
    case unixSocket(path: String)
    case tcp(host: String, port: Int)

    /// `nil` for a socket of another kind.
    init?(_ address: SocketAddress?) {
        switch address {
        case .unixDomainSocket: self = .unixSocket(path: address?.pathname ?? "")
        case .v4, .v6: self = .tcp(host: address?.ipAddress ?? "", port: address?.port ?? 0)
        case nil: return nil
        }
    }
}

extension BoundAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unixSocket(let path): path
        case .tcp(let host, let port): "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
        }
    }
}
